import Kernels
import TensorCore

/// What a selection of positions was made from.
struct SelectionFacts {
  var positions: [Int] = []
  var wanted: Int?
  var densityBefore: Double?

  func save(to writer: StateWriter) throws(DiffError) {
    try writer.put([Double(positions.count)])
    try writer.put([Double(wanted ?? -1)])
    try writer.put([densityBefore ?? -1])
    try writer.put(positions.map { Double($0) })
  }

  /// - Parameter places: How many the layout has.
  mutating func restore(from reader: StateReader, places: Int) throws(DiffError) {
    let count = try reader.takeInt(in: 0...places)
    let wanted = try reader.takeInt(in: -1...places)
    let density = try reader.takeDoubles(1)[0]
    positions = try reader.takeInts(count, in: 0...max(0, places - 1))
    self.wanted = wanted < 0 ? nil : wanted
    densityBefore = density < 0 ? nil : density
  }
}

extension Trainer {
  /// What learns in a stage.
  ///
  /// - Parameters:
  ///   - last: What learned in the stage before, settled.
  ///   - positions: Of a fixed selection that is known already.
  func makeLearner(
    _ stage: Int, _ last: (any Learner)?, positions: [Int]? = nil
  ) throws(DiffError) -> any Learner {
    gradients.want(only: learning)
    switch plan.stages[stage].kind {
    case .gates:
      return GatedLearner(
        values, gradients, options, learning, steps: plan.stages[stage].steps)
    case .full: return FullLearner(values, gradients, options, learning)
    case .fisher: return FisherLearner(gradients)
    case .fixed:
      let base = try makeBase()
      var found = positions.map { ($0, nil) } ?? select(last, base)
      let frozen = frozen.map { model.layout.parameters[$0].range }
      found.0.removeAll { place in frozen.contains { $0.contains(place) } }
      selection.positions = found.0
      gradients.want(only: model.layout.indices(holding: found.0))
      // What was not selected goes back to the base.
      for parameter in model.layout.parameters where !parameter.isHead {
        values.copy(base, parameter.range, to: parameter.range.lowerBound)
      }
      let mask = MaskedParameters(found.0, values, base: base, from: found.1)
      return MaskedLearner(mask, values, gradients, options)
    }
  }

  /// The values of the base.
  private func makeBase() throws(DiffError) -> FloatBuffer {
    let base = FloatBuffer(count: model.layout.count)
    try model.initialize(base, seed: options.seed)
    return base
  }

  /// Which positions learn on, and the differences that they start from.
  private func select(
    _ last: (any Learner)?, _ base: FloatBuffer
  ) -> (positions: [Int], start: FloatBuffer?) {
    let layout = model.layout
    let wanted = Int((options.density * Double(layout.bodyCount)).rounded(.down))
    switch options.method {
    case .bitfit:
      return (layout.positions(of: \.isBias), nil)
    case .lastLayer:
      return (layout.positions(of: layout.lastLayer), nil)
    case .random:
      selection.wanted = wanted
      return (layout.randomPositions(wanted, of: learning, seed: options.seed), nil)
    case .fisher:
      selection.wanted = wanted
      guard let sums = (last as? FisherLearner)?.sums else { return ([], nil) }
      return (TopPositions(wanted, of: sums, layout).positions, nil)
    case .structured, .unstructured, .magnitude, .full:
      selection.wanted = wanted
      let start = (last as? GatedLearner)?.differences ?? values.subtracting(base, layout)
      if last is GatedLearner {
        selection.densityBefore =
          Double(start.nonzeros(layout)) / Double(max(1, layout.bodyCount))
      }
      return (TopPositions(wanted, of: start, layout).positions, start)
    }
  }

  /// What the training learned.
  func finish() throws(DiffError) -> Finetune {
    if let mask = (learner as? MaskedLearner)?.mask {
      let differences = mask.differences
      let span = differences.span
      return Finetune(
        layout: model.layout, values: values, positions: mask.positions,
        wanted: selection.wanted, densityBefore: selection.densityBefore,
        additions: span.indices.map { span[$0] })
    }
    let differences = values.subtracting(try makeBase(), model.layout)
    let span = differences.span
    let positions = model.layout.positions(of: { _ in true }).filter { span[$0] != 0 }
    return Finetune(
      layout: model.layout, values: values, positions: positions, wanted: nil,
      densityBefore: nil, additions: positions.map { span[$0] })
  }
}

extension ParameterLayout.Parameter {
  /// Whether it is added to products or normalized rows; old TensorFlow checkpoints say beta.
  fileprivate var isBias: Bool {
    let last = name.nameParts.last
    return last == "bias" || last == "beta"
  }
}

/// Sums squared gradients; nothing learns.
final class FisherLearner: Learner {
  private let gradients: Gradients
  let sums: FloatBuffer

  init(_ gradients: Gradients) {
    self.gradients = gradients
    sums = FloatBuffer(count: gradients.layout.count)
  }

  func prepare(step: Int) {}
  func settle() {}

  func update(step: Int, rate: Double) -> LearnerFacts {
    let ranges = gradients.layout.bodyIndices.flatMap { gradients.ranges(of: $0) }
    let (sums, values) = (sums, gradients.values)
    RangeTasks(ranges).forEach { Kernels.addSquares(sums, values, $0) }
    return LearnerFacts(norm: 0)
  }

  func save(to state: StateWriter) throws(DiffError) { try state.put(sums) }
  func restore(from state: StateReader) throws(DiffError) { try state.take(sums) }
}

extension ParameterLayout {
  /// The places of all elements of some parameters of the body.
  func positions(of isChosen: (Parameter) -> Bool) -> [Int] {
    parameters.filter { !$0.isHead && isChosen($0) }.flatMap { Array($0.range) }
  }

  /// The parameters that some places are of, which ascend, and the head's.
  func indices(holding places: [Int]) -> [Int] {
    var next = places[...]
    return parameters.indices.filter { index in
      let range = parameters[index].range
      let before = next.count
      next = next.drop { $0 < range.upperBound }
      return parameters[index].isHead || next.count < before
    }
  }

  /// Tells the parameters of the layer with the highest number, and of the pooler.
  var lastLayer: (Parameter) -> Bool {
    func number(_ parameter: Parameter) -> Int? {
      let parts = parameter.name.nameParts
      guard let at = parts.firstIndex(of: "layer"), at + 1 < parts.count else { return nil }
      return Int(parts[at + 1])
    }
    let last = parameters.compactMap(number).max()
    return { parameter in
      parameter.name.contains("pooler") || last != nil && number(parameter) == last
    }
  }

  /// So many places of some parameters of the body, drawn by chance (Floyd's algorithm),
  /// ascending; all places, if there are not so many.
  func randomPositions(_ count: Int, of indices: [Int], seed: UInt64) -> [Int] {
    var random = SplitMix64(seed: seed)
    var chosen: Set<Int> = []
    let drawn = indices.map { parameters[$0] }.filter { !$0.isHead }
    let all = drawn.reduce(0) { $0 + $1.range.count }
    for upper in max(0, all - count)..<all {
      let candidate = Int.random(in: 0...upper, using: &random)
      chosen.insert(chosen.contains(candidate) ? upper : candidate)
    }
    var positions: [Int] = []
    positions.reserveCapacity(count)
    var before = 0
    for parameter in drawn {
      // Elements are counted without the gaps between parameters.
      for place in chosen where (before..<before + parameter.range.count).contains(place) {
        positions.append(parameter.range.lowerBound + place - before)
      }
      before += parameter.range.count
    }
    return positions.sorted()
  }
}

extension FloatBuffer {
  /// How many elements of the body are not zero.
  fileprivate func nonzeros(_ layout: ParameterLayout) -> Int {
    let span = span
    return layout.parameters.filter { !$0.isHead }.reduce(0) { sum, parameter in
      parameter.range.reduce(sum) { span[$1] == 0 ? $0 : $0 + 1 }
    }
  }

  /// The differences from another buffer in the parameters of the body.
  fileprivate func subtracting(_ base: FloatBuffer, _ layout: ParameterLayout) -> FloatBuffer {
    let result = FloatBuffer(count: count)
    let (values, base) = (span, base.span)
    var out = result.mutableSpan
    for parameter in layout.parameters where !parameter.isHead {
      for place in parameter.range where values[place] != base[place] {
        out[place] = values[place] - base[place]
      }
    }
    return result
  }
}
