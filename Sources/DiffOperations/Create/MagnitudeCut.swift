import TensorCore

/// Tells which of changes, given one after the other, are among the largest.
struct MagnitudeCut: Sendable {
  /// What is smaller is left out.
  let least: Double
  /// How many more are kept that equal it.
  private(set) var ties: UInt64

  /// By default keeps all that are not zero.
  init(_ least: Double = 0, ties: UInt64 = 0) {
    self.least = least
    self.ties = ties
  }

  /// Whether the next change is kept; zeros never are.
  mutating func keeps(_ number: Double) -> Bool {
    let magnitude = number.magnitude
    guard magnitude > 0, magnitude >= least else { return false }
    if magnitude == least {
      guard ties > 0 else { return false }
      ties -= 1
    }
    return true
  }
}

extension Selection {
  /// Refuses a density that is none.
  func check() throws(DiffError) {
    if case .density(let density) = self, !(0...1).contains(density) {
      throw DiffError(.usage, "a density must be in 0 ... 1, not \(density)")
    }
  }

  /// What is kept of changes to so many elements; `largest` finds the cut that keeps a number.
  func cut(
    of elements: UInt64, _ largest: (UInt64) throws(DiffError) -> MagnitudeCut
  ) throws(DiffError) -> MagnitudeCut {
    switch self {
    case .all: return MagnitudeCut()
    case .threshold(let least): return MagnitudeCut(least.nextDown)
    case .density(let density): return try largest(density.portion(of: elements))
    }
  }
}

extension Double {
  /// ⌊this share of a number⌋.
  func portion(of whole: UInt64) -> UInt64 { UInt64((self * Double(whole)).rounded(.down)) }
}
