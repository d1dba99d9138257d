import Kernels
import SystemSupport

/// The parameters of a model under hard-concrete gates (Louizos, Welling, Kingma 2018), as diff
/// pruning trains them (Guo, Rush, Kim 2021): θ = base + z ⊙ z_group ⊙ w. The base stays, w and
/// the locations of the gates are trained; draws are a function of seed, step and position and are
/// not stored.
///
/// A step passes over memory twice: `measure` for the norms that clipping needs, `update` for the
/// new w and gates and at the same time the values of the next draw. Rows of tables that no batch
/// has read keep w = 0, and all have equal gates: a single row represents them, and each gets its
/// own gates when it is first read, so that results are those of separate gates for all.
///
///     let gates = GatedParameters(model.layout, values, gradients, seed: 1)
///     gates.sample(step: 0)
///     for step in 0..<steps {
///       … model.addGradients(…) …
///       let found = gates.measure(step: step, lambda: lambda)
///       gates.update(step: step, weights: …, gates: …, shared: …)
///       gradients.clear()
///     }
///     let differences = gates.settle()
public final class GatedParameters {
  /// The norms of a step's gradients, and the densities of open gates.
  public struct Measure: Sendable, Hashable {
    /// ‖∂L/∂w‖² and ‖∂(L + penalty)/∂gates‖².
    public internal(set) var weightNorm = 0.0, gateNorm = 0.0
    /// E‖δ‖₀ / elements; rows that were never read count as zero, as they are.
    public internal(set) var expectedDensity = 0.0
    /// The share of elements that are open in two successive draws. Gates that are nearly closed,
    /// however many, add nothing to it, unlike to the expectation.
    public internal(set) var twiceOpenDensity = 0.0
    /// The share of elements that can differ from the base: all but rows that were never read.
    public internal(set) var seenDensity = 0.0
    /// The share of elements whose gate, together with its group's, is open when settled; rows that
    /// were never read do not count.
    public internal(set) var openDensity = 0.0
    /// The number of elements of each parameter of the layout that are expected to be open, and that
    /// are when settled; of the elements that the densities count.
    public internal(set) var expected: [Double] = [], open: [Double] = []

    /// Creates the measurements that a `DensityController` reads.
    public init(gateNorm: Double = 0, twiceOpenDensity: Double = 0, seenDensity: Double = 0) {
      (self.gateNorm, self.twiceOpenDensity) = (gateNorm, twiceOpenDensity)
      self.seenDensity = seenDensity
    }
  }

  /// The number of elements of the model without the head, of which densities are shares.
  public let count: Int
  /// The number of parameters, including the head's.
  private let parameterCount: Int
  let penalty: GatePenalty
  let seed: UInt64
  let gradients: Gradients
  var groups: GateGroups
  let regions: [GateRegion]
  package private(set) var buffers: [GateBuffers]
  /// The tables, in the order of the buffers after the first: region and rows that were read.
  var tables: [Table] = []
  private var runs: [GateRun] = []
  /// The ranges of runs that one thread processes together.
  private var batches: [Range<Int>] = []
  private var sums = FloatBuffer(count: 0)
  private var lambda = 0.0

  struct Table {
    let region: Int
    /// The index of the parameter.
    let parameter: Int
    var isSeen: [Bool]
    var unseen: Int
  }

  /// Creates gates for parameters that are not of the head. At first all are open and w is zero.
  ///
  /// - Parameters:
  ///   - layout: The layout of the model's parameters.
  ///   - values: The base, which is copied; from now on the values of the draw.
  ///   - gradients: The gradients that the model adds to.
  ///   - learning: The indices of the parameters, nil for all. The others are not changed, and
  ///     densities are shares of all that are not of the head.
  ///   - grouping: The sets of parameters that share a gate beside their own.
  ///   - penalty: The way in which the penalty counts a parameter in a group.
  ///   - slope: The derivative of z by which the locations of the gates are trained.
  ///   - seed: The seed of the draws.
  public init(
    _ layout: ParameterLayout, _ values: FloatBuffer, _ gradients: Gradients,
    of learning: [Int]? = nil, grouping: GateGrouping = .tensor, penalty: GatePenalty = .product,
    slope: GateSlope = .expected, seed: UInt64
  ) {
    self.penalty = penalty
    self.seed = seed
    self.gradients = gradients
    count = layout.bodyCount
    parameterCount = layout.parameters.count
    groups = GateGroups(areGated: grouping != .none, slope)
    let base = FloatBuffer(count: layout.count)
    base.copy(values)
    buffers = [GateBuffers(base: base, gradients: gradients.values, values: values)]
    var regions: [GateRegion] = []
    for (index, parameter) in layout.parameters.enumerated()
    where !parameter.isHead && !parameter.range.isEmpty && learning?.contains(index) ?? true {
      let region = GateRegion(parameter, grouping, &groups)
      if parameter.isTable {
        tables.append(
          Table(
            region: regions.count, parameter: index,
            isSeen: [Bool](repeating: false, count: region.rows), unseen: region.rows))
        func zeros() -> FloatBuffer { FloatBuffer(count: region.columns) }
        buffers.append(GateBuffers(base: zeros(), gradients: zeros(), values: zeros()))
        buffers[buffers.count - 1].gates.fill(0..<region.columns, GateGroups.start)
      } else {
        buffers[0].gates.fill(parameter.range, GateGroups.start)
      }
      regions.append(region)
    }
    self.regions = regions
    planRuns()
  }

  /// The base.
  package var base: FloatBuffer { buffers[0].base }

  /// The locations of the groups' gates.
  package var groupLocations: [Float] { groups.locations }

  // MARK: Steps

  private func draw(_ step: Int) -> GateDraw {
    GateDraw(seed: seed, step: UInt64(step), stream: 0)
  }

  private func groupDraw(_ step: Int) -> GateDraw {
    GateDraw(seed: seed, step: UInt64(step), stream: 1)
  }

  /// Calculates the values of a step's draw; needed before the first step, and after `settle`.
  public func sample(step: Int) {
    let draw = draw(step)
    groups.draw(groupDraw(step))
    forEachRun { [buffers, z = groups.z] run in
      for row in 0..<run.rows {
        Kernels.sampleGates(
          buffers[run.buffers], run.range(row), draw, group: run.slots(of: z))
      }
    }
  }

  /// Measures the gradients of weights and gates. Does not change the gradients.
  ///
  /// - Parameters:
  ///   - step: The step whose draw the gradients are for.
  ///   - lambda: The penalty of an open gate.
  public func measure(step: Int, lambda: Double) -> Measure {
    see(groupDraw(step))
    self.lambda = lambda
    groups.setPenalties(lambda, penalty)
    let draw = draw(step)
    forEachRun { [buffers, groups, sums] run in
      sums.clear(run.place..<run.place + run.sumCount)
      for row in 0..<run.rows {
        Kernels.measureGates(
          buffers[run.buffers], run.range(row), draw, group: run.slots(of: groups.z),
          penalty: run.slots(of: groups.penalties), expected: groups.isExpected, into: sums,
          at: run.place)
      }
    }
    return sumUp()
  }

  /// Takes a step with weights and gates and calculates the values of the next draw.
  ///
  /// - Parameters:
  ///   - step: The step that was measured.
  ///   - weights: The step of w.
  ///   - gates: The step of the gates of elements.
  ///   - shared: The step of the gates of groups.
  public func update(step: Int, weights: AdamStep, gates: AdamStep, shared: AdamStep) {
    let (draw, next) = (draw(step), draw(step + 1))
    groups.update(shared, lambda, penalty, next: groupDraw(step + 1))
    forEachRun { [buffers, groups] run in
      for row in 0..<run.rows {
        Kernels.updateGates(
          buffers[run.buffers], run.range(row), draw, group: run.slots(of: groups.z),
          penalty: run.slots(of: groups.penalties), expected: groups.isExpected,
          weights: weights, gates: gates, next: next, nextGroup: run.slots(of: groups.nextZ))
      }
    }
    groups.advance()
  }

  /// Returns the differences δ = z ⊙ z_group ⊙ w with settled gates, in a buffer of the model's
  /// layout, and sets the values to base + δ.
  public func settle() -> FloatBuffer {
    let differences = FloatBuffer(count: buffers[0].values.count)
    forEachRun { [buffers, z = groups.settledZ] run in
      guard run.buffers == 0 else { return }
      for row in 0..<run.rows {
        Kernels.settleGates(
          buffers[0], run.range(row), group: run.slots(of: z), differences: differences)
      }
    }
    return differences
  }

  // MARK: Runs

  /// Gives separate gates to rows that were read for the first time.
  private func see(_ draw: GateDraw) {
    var isNew = false
    for index in tables.indices {
      let region = regions[tables[index].region]
      for row in gradients.touchedRows(of: tables[index].parameter) ?? []
      where !tables[index].isSeen[row] {
        tables[index].isSeen[row] = true
        tables[index].unseen -= 1
        let start = region.parameter.range.lowerBound + row * region.columns
        let (unseen, all) = (buffers[index + 1], buffers[0])
        all.gates.copy(unseen.gates, to: start)
        all.gateMeans.copy(unseen.gateMeans, to: start)
        all.gateSquares.copy(unseen.gateSquares, to: start)
        if !region.varies {
          groups.copy(slot: region.unseenSlot, to: region.slot(ofRow: row), draw)
        }
        isNew = true
      }
    }
    if isNew { planRuns() }
  }

  /// Determines the runs and their order; sums are taken in this order, so that they do not depend
  /// on the number of threads.
  func planRuns() {
    runs.removeAll(keepingCapacity: true)
    for region in regions where !region.parameter.isTable {
      runs += region.runs(rows: 0..<region.rows)
    }
    for (index, table) in tables.enumerated() {
      let region = regions[table.region]
      for rows in table.isSeen.runsOfTrue { runs += region.runs(rows: rows) }
      let isByRow = region.unseenSlot != region.firstSlot
      if isByRow { groups.setMultiplicity(table.unseen, slot: region.unseenSlot) }
      guard table.unseen > 0 else { continue }
      runs.append(
        GateRun(
          buffers: index + 1, start: 0, count: region.columns, slot: region.unseenSlot,
          varies: region.varies, multiplicity: table.unseen))
    }
    batches.removeAll(keepingCapacity: true)
    var (first, elements, place) = (0, 0, 0)
    for index in runs.indices {
      runs[index].place = place
      place += runs[index].sumCount
      elements += runs[index].count * runs[index].rows
      if elements >= GateRun.room || index == runs.count - 1 {
        batches.append(first..<index + 1)
        (first, elements) = (index + 1, 0)
      }
    }
    if sums.count < place { sums = FloatBuffer(count: place * 5 / 4) }
  }

  private func forEachRun(_ body: @Sendable (GateRun) -> Void) {
    parallelFor(batches.count) { [runs, batches] batch in
      Kernels.withoutSubnormals {
        for index in batches[batch] { body(runs[index]) }
      }
    }
  }

  private func sumUp() -> Measure {
    var measure = Measure()
    for group in groups.sums.indices { groups.sums[group] = GateGroups.Sums() }
    let buffer = sums
    let sums = buffer.span
    for run in runs {
      let times = Double(run.multiplicity)
      measure.weightNorm += times * Double(sums[run.place])
      measure.gateNorm += times * Double(sums[run.place + 1])
      let slots = run.slotCount
      for slot in 0..<slots {
        let group = groups.groupOfSlot[run.slot + slot]
        let place = run.place + 2 + slot
        let openness = Double(sums[place + slots])
        groups.sums[group].pull += Double(sums[place])
        // A group that represents many has one row, like each of them.
        groups.sums[group].openness += openness * times / groups.multiplicity[group]
        guard run.buffers == 0 else { continue }
        measure.seenDensity += Double(run.count * run.rows) / Double(slots)
        groups.sums[group].seenOpenness += openness
        groups.sums[group].seenTwice += Double(sums[place + 2 * slots])
        groups.sums[group].open += Double(sums[place + 3 * slots])
      }
    }
    measure.expected = Array(repeating: 0, count: parameterCount)
    measure.open = measure.expected
    // The groups of a region follow those of the region before.
    var region = 0
    for group in groups.sums.indices {
      let gradient = groups.gradient(of: group, lambda, penalty)
      measure.gateNorm += gradient * gradient * groups.multiplicity[group]
      let chance = groups.chance(of: group)
      let expected = groups.sums[group].seenOpenness * chance
      let open = groups.locations[group] > 0 ? groups.sums[group].open : 0
      measure.expectedDensity += expected
      measure.twiceOpenDensity += groups.sums[group].seenTwice * chance * chance
      measure.openDensity += open
      while region + 1 < regions.count, group >= firstGroup(of: regions[region + 1]) { region += 1 }
      measure.expected[regions[region].parameter.index] += expected
      measure.open[regions[region].parameter.index] += open
    }
    let all = Double(max(1, count))
    measure.expectedDensity /= all
    measure.twiceOpenDensity /= all
    measure.seenDensity /= all
    measure.openDensity /= all
    return measure
  }

  private func firstGroup(of region: GateRegion) -> Int { groups.groupOfSlot[region.firstSlot] }
}

extension GateRun {
  /// Returns the numbers of the run's slots.
  @_lifetime(borrow numbers)
  fileprivate func slots(of numbers: borrowing [Float]) -> Span<Float> {
    numbers.span.extracting(slot..<slot + slotCount)
  }
}

extension [Bool] {
  /// The ranges of neighbouring indices whose element is true.
  var runsOfTrue: [Range<Int>] {
    var runs: [Range<Int>] = []
    var start: Int?
    for index in indices {
      if self[index], start == nil { start = index }
      if !self[index], let first = start {
        runs.append(first..<index)
        start = nil
      }
    }
    if let start { runs.append(start..<count) }
    return runs
  }
}
