import TensorCore

/// Selects the largest changes of a sequence.
struct MagnitudeCut: Sendable {
  /// The magnitude below which changes are left out.
  let least: Double
  /// The number of further changes of exactly this magnitude that are kept.
  private(set) var ties: UInt64

  /// Creates a cut; by default it keeps all nonzero changes.
  init(_ least: Double = 0, ties: UInt64 = 0) {
    self.least = least
    self.ties = ties
  }

  /// Returns whether the next change is kept; zeros never are.
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
  /// Refuses a density outside 0 ... 1.
  func check() throws(DiffError) {
    if case .density(let density) = self, !(0...1).contains(density) {
      throw DiffError(.usage, "a density must be in 0 ... 1, not \(density)")
    }
  }

  /// Returns the cut for changes to tensors of `elements` elements; `largest` finds the cut that
  /// keeps a number of changes.
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
  /// Returns ⌊this share of `whole`⌋.
  func portion(of whole: UInt64) -> UInt64 { UInt64((self * Double(whole)).rounded(.down)) }
}
