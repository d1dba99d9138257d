import Kernels
import Platform

/// The gates that groups of parameters share, their state, and the sums that a step leaves there.
///
/// Kernels read a group's numbers from slots: a slot is a group, or a column if groups consist of
/// columns, so that one load gives the numbers of each element.
struct GateGroups {
  /// The sums of a group over its elements.
  struct Sums {
    /// ∂L/∂z of the group.
    var pull = 0.0
    /// Σ probability that the elements' own gates are open.
    var openness = 0.0
    /// The same without rows of tables that no batch has read, whose weight is zero.
    var seenOpenness = 0.0
    /// Σ its square, over the same elements as `seenOpenness`.
    var seenTwice = 0.0
    /// The number of elements whose own gate is open when settled.
    var open = 0.0
  }

  /// The location of a new gate: z is 1 almost always.
  static let start: Float = 5

  /// The locations of the gates and their moments.
  private(set) var locations: [Float] = []
  private(set) var means: [Float] = []
  private(set) var squares: [Float] = []
  /// The sums of the step.
  var sums: [Sums] = []
  /// The number of groups that a group represents: one represents all unseen rows of a table,
  /// which have no separate groups yet.
  private(set) var multiplicity: [Double] = []
  /// The group of each slot.
  private(set) var groupOfSlot: [Int] = []
  private var slopes: [Float] = []
  /// z of this draw and of the next, λ · probability of being open, for each slot.
  private(set) var z: [Float] = []
  private(set) var nextZ: [Float] = []
  private(set) var penalties: [Float] = []
  /// True if groups have gates; else z and the probability are 1.
  let areGated: Bool
  /// True if gates, also those of elements, are trained by the slope of their expectation.
  let isExpected: Bool

  init(areGated: Bool, _ slope: GateSlope) {
    self.areGated = areGated
    isExpected = slope == .expected
  }

  /// Adds groups and their slots, `columns` slots for each group; returns the first slot.
  mutating func append(_ count: Int, slotsEach columns: Int) -> Int {
    let first = locations.count
    locations += [Float](repeating: Self.start, count: count)
    means += [Float](repeating: 0, count: count)
    squares += [Float](repeating: 0, count: count)
    slopes += [Float](repeating: 0, count: count)
    sums += [Sums](repeating: Sums(), count: count)
    multiplicity += [Double](repeating: 1, count: count)
    let slot = groupOfSlot.count
    for group in 0..<count {
      groupOfSlot += [Int](repeating: first + group, count: columns)
    }
    z += [Float](repeating: 1, count: count * columns)
    nextZ += [Float](repeating: 1, count: count * columns)
    penalties += [Float](repeating: 0, count: count * columns)
    return slot
  }

  /// Sets the number of groups that the group of a slot represents.
  mutating func setMultiplicity(_ count: Int, slot: Int) {
    multiplicity[groupOfSlot[slot]] = Double(count)
  }

  /// Returns the probability that a group is open.
  func chance(of group: Int) -> Double {
    areGated ? 1 / (1 + exp(-Double(locations[group]))) : 1
  }

  /// Draws z for every group.
  mutating func draw(_ draw: GateDraw) {
    guard areGated else { return }
    let gates = locations.indices.map {
      Kernels.gate(
        locations[$0], chance: draw[UInt32(truncatingIfNeeded: $0)], expected: isExpected)
    }
    slopes = gates.map(\.slope)
    for slot in z.indices { z[slot] = gates[groupOfSlot[slot]].z }
  }

  /// Copies the group of one slot to that of another, which keeps its own draw.
  mutating func copy(slot other: Int, to slot: Int, _ draw: GateDraw) {
    let (from, to) = (groupOfSlot[other], groupOfSlot[slot])
    guard areGated, from != to else { return }
    multiplicity[to] = 1
    locations[to] = locations[from]
    means[to] = means[from]
    squares[to] = squares[from]
    let gate = Kernels.gate(
      locations[to], chance: draw[UInt32(truncatingIfNeeded: to)], expected: isExpected)
    (z[slot], slopes[to]) = (gate.z, gate.slope)
  }

  /// Restores a stored state.
  mutating func restore(
    locations: [Float], means: [Float], squares: [Float], multiplicity: [Double]
  ) {
    (self.locations, self.means, self.squares) = (locations, means, squares)
    self.multiplicity = multiplicity
  }

  /// Sets the penalty of an open element from λ.
  mutating func setPenalties(_ lambda: Double, _ penalty: GatePenalty) {
    for slot in penalties.indices {
      let share = penalty == .product ? chance(of: groupOfSlot[slot]) : 1
      penalties[slot] = Float(lambda * share)
    }
  }

  /// Returns the gradient of a group's gate.
  func gradient(of group: Int, _ lambda: Double, _ penalty: GatePenalty) -> Double {
    guard areGated else { return 0 }
    let p = chance(of: group)
    let elements = penalty == .product ? sums[group].openness : 1
    return sums[group].pull * Double(slopes[group]) + lambda * elements * p * (1 - p)
  }

  /// Takes a step with every gate and draws the next z.
  mutating func update(
    _ step: AdamStep, _ lambda: Double, _ penalty: GatePenalty, next draw: GateDraw
  ) {
    guard areGated else { return }
    for group in locations.indices {
      let gradient = Float(gradient(of: group, lambda, penalty))
      step.apply(
        &locations[group], gradient: gradient, mean: &means[group], square: &squares[group])
    }
    let current = z
    self.draw(draw)
    nextZ = z
    z = current
  }

  /// Makes the next draw the current one.
  mutating func advance() { if areGated { z = nextZ } }

  /// z of each slot when settled, without randomness.
  var settledZ: [Float] {
    guard areGated else { return z }
    let settled = locations.map { Kernels.gate($0, chance: 0.5).z }
    return groupOfSlot.map { settled[$0] }
  }
}
