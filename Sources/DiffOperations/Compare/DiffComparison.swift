import TensorCore

/// How several diffs relate: what `compare` found.
public struct DiffComparison: Sendable {
  /// What two diffs share.
  public struct Pair: Sendable {
    /// How many elements the one changes, and the other.
    public var changes: (UInt64, UInt64) = (0, 0)
    /// Positions that both change.
    public var shared: UInt64 = 0
    /// Shared positions where both deltas are known and none is zero.
    public var signed: UInt64 = 0
    /// How many of those have one sign.
    public var agreeing: UInt64 = 0
    /// The inner product of the deltas; NaN where they are unknown.
    public var dot = 0.0
    /// The sums of the squares of the deltas; NaN where they are unknown.
    public var squares = (0.0, 0.0)

    /// Shared positions over positions that either changes (Jaccard 1901); 1 if there are none.
    public var jaccard: Double {
      let union = changes.0 + changes.1 - shared
      return union == 0 ? 1 : Double(shared) / Double(union)
    }
    /// The cosine of the angle between the deltas, or nil if they are unknown or zero.
    public var cosine: Double? {
      let norms = squares.0.squareRoot() * squares.1.squareRoot()
      return norms > 0 ? max(-1, min(1, dot / norms)) : nil
    }
    /// How often the signs agree where both have one.
    public var signAgreement: Double? {
      signed == 0 ? nil : Double(agreeing) / Double(signed)
    }
    /// The norm of the second over that of the first.
    public var normRatio: Double? {
      squares.0 > 0 && !squares.1.isNaN ? (squares.1 / squares.0).squareRoot() : nil
    }
  }

  /// A tensor of two diffs.
  public struct Tensor: Sendable {
    /// The name, in the first diff that has it.
    public var name: TensorName
    /// Elements of the tensor.
    public var elements: UInt64
    /// What the two share in it.
    public var pair: Pair
    /// Positions whose values differ.
    public var differing: UInt64
  }

  /// Something other than values that a diff has otherwise than the first.
  public struct Note: Sendable, Hashable {
    /// The number of the diff, from 1 on: the first one is what they are compared with.
    public var diff: Int
    /// The tensor.
    public var tensor: TensorName
    /// What is different.
    public var what: String
  }

  /// Changed elements of each diff, whole tensors aside.
  public internal(set) var changes: [UInt64]
  /// The sum of the squares of each diff's deltas; nil where not all of them are known: those of an
  /// exact diff are with its base at hand.
  public internal(set) var squares: [Double?]
  /// Positions whose values differ from those of the first diff; a position that one of them does
  /// not change counts as a delta of zero.
  public internal(set) var differing: [UInt64]
  /// Other differences, at most `noteLimit` of each diff.
  public internal(set) var notes: [Note] = []
  /// Of two diffs: each tensor that both or one of them change in some elements.
  public internal(set) var tensors: [Tensor] = []

  var pairs: [PairCounts.Pair]

  /// The Euclidean norm of each diff's deltas; nil where they are not known.
  public var norms: [Double?] { squares.map { $0?.squareRoot() } }

  /// The most notes that are kept of a diff.
  public static let noteLimit = 1000

  /// What two of the diffs share, by their numbers. O(1).
  public func pair(_ one: Int, _ other: Int) -> Pair {
    let (first, second) = (min(one, other), max(one, other))
    var pair = Pair()
    pair.changes = (changes[one], changes[other])
    pair.squares = (square(one), square(other))
    if one == other {
      (pair.shared, pair.dot) = (changes[one], square(one))
      (pair.signed, pair.agreeing) = (changes[one], changes[one])
      return pair
    }
    let counts = pairs[first * changes.count + second]
    pair.shared = counts.shared
    pair.signed = counts.signed
    pair.agreeing = counts.agreeing
    pair.dot = squares[one] == nil || squares[other] == nil ? .nan : counts.dot
    return pair
  }

  private func square(_ index: Int) -> Double { squares[index] ?? .nan }

  /// Whether all diffs are the same: they change the same tensors of one base to the same values.
  public var areSame: Bool { differing.allSatisfy { $0 == 0 } && notes.isEmpty }

  /// Whether one of the diffs is the same as the first.
  public func isSame(_ index: Int) -> Bool {
    differing[index] == 0 && !notes.contains { $0.diff == index }
  }
}
