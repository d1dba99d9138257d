import TensorCore

/// The change of one tensor: an entry of a diff's index.
public struct DiffEntry: Sendable, Hashable {
  /// The tensor's name, as in the checkpoint that the diff was made from.
  public var name: TensorName
  /// The kind of change.
  public var operation: DiffOperation
  /// The type of the tensor's elements.
  public var type: ElementType
  /// The shape of the tensor before the change, or of the inserted tensor.
  public var shape: Shape
  /// The fingerprint of the tensor before the change, if known.
  public var base: Fingerprint?
  /// The fingerprint of the tensor after the change, if known.
  public var result: Fingerprint?
  /// XXH3-128 of the old elements at the changed positions, in order (exact operations only).
  public var old: Fingerprint?
  /// The stored pages, a list for each stream.
  public package(set) var pages: [DiffStream: [PageInfo]] = [:]

  /// Creates an entry without pages, to be written.
  public init(
    _ name: TensorName, _ operation: DiffOperation, _ type: ElementType, _ shape: Shape,
    base: Fingerprint? = nil, result: Fingerprint? = nil, old: Fingerprint? = nil
  ) {
    self.name = name
    self.operation = operation
    self.type = type
    self.shape = shape
    self.base = base
    self.result = result
    self.old = old
  }

  /// The number of stored values.
  public var count: UInt64 { pages.values.joined().reduce(0) { $0 + UInt64($1.count) } }

  /// The number of bytes of the pages.
  public var storedSize: UInt64 { pages.values.joined().reduce(0) { $0 + $1.storedSize } }

  /// A bit mask of the fingerprints that the entry has.
  var flags: UInt8 {
    (base == nil ? 0 : 1) | (result == nil ? 0 : 2) | (old == nil ? 0 : 4)
  }

  /// The number of bytes of a stored value.
  public var valueWidth: Int {
    if case .add(let values, _) = operation { values.width } else { type.width }
  }

  /// The shape of the tensor after the change; nil if it is deleted.
  public var newShape: Shape? {
    switch operation {
    case .delete: nil
    case .reshape(let new): new
    default: shape
    }
  }
}

/// An operation on a tensor.
public enum DiffOperation: Sendable, Hashable {
  /// Sparse additions of float values, each times 2^scale.
  case add(values: FloatType, scale: Int)
  /// Sparse new elements, as bits.
  case replace
  /// Sparse exclusive-or of the old and new bits; reversible.
  case xor
  /// A whole tensor that the base lacks.
  case insert
  /// A whole tensor that the result lacks; its elements are stored.
  case delete
  /// Another shape: XOR where the shapes overlap, and the elements outside of the overlap.
  case reshape(to: Shape)

  /// An operation without its parameters. Raw values are those of the file.
  enum Code: UInt8 {
    case add = 1
    case replace = 2
    case xor = 3
    case insert = 4
    case delete = 5
    case reshape = 6

    /// A bit mask of the fingerprints that an entry may have: base, result, old elements. Others,
    /// of tensors that do not exist or of undefined old elements, would be a second form of the
    /// same contents.
    var allowedFlags: UInt8 {
      switch self {
      case .replace, .xor: 0b111
      case .insert: 0b010
      case .delete: 0b001
      case .add, .reshape: 0b011
      }
    }

    /// True if the tensor is stored whole.
    var isWhole: Bool { self == .insert || self == .delete }
  }

  /// The code in the file.
  var code: Code {
    switch self {
    case .add: .add
    case .replace: .replace
    case .xor: .xor
    case .insert: .insert
    case .delete: .delete
    case .reshape: .reshape
    }
  }

  /// The name in output.
  public var name: String {
    switch self {
    case .add: "add"
    case .replace: "replace"
    case .xor: "xor"
    case .insert: "insert"
    case .delete: "delete"
    case .reshape: "reshape"
    }
  }

  /// The streams of an entry of this operation, in the order of the file.
  public var streams: [DiffStream] {
    if case .reshape = self { [.changes, .oldRemainder, .newRemainder] } else { [.changes] }
  }

  /// True if the result is defined bit by bit, without arithmetic.
  public var isExact: Bool { if case .add = self { false } else { true } }

  /// True if the entry holds enough to restore the tensor before the change.
  public var isReversible: Bool {
    switch self {
    case .add, .replace: false
    case .xor, .insert, .delete, .reshape: true
    }
  }
}

/// A sequence of pages of an entry.
public enum DiffStream: Int, Sendable, Hashable, CaseIterable {
  /// The changes; of `reshape`, those inside the overlap.
  case changes
  /// Elements of the old tensor outside of the overlap, in row-major order (`reshape`).
  case oldRemainder
  /// Elements of the new tensor outside of the overlap, in row-major order (`reshape`).
  case newRemainder
}

extension DiffEntry {
  /// Returns the grid of the elements that the positions of a stream refer to.
  func grid(of stream: DiffStream) -> Grid {
    guard case .reshape(let new) = operation else {
      return Grid(count: shape.count, rowLength: shape.rowLength)
    }
    let overlap = shape.overlap(new)
    switch stream {
    case .changes: return Grid(count: overlap.count, rowLength: overlap.rowLength)
    case .oldRemainder: return Grid(vector: shape.count - overlap.count)
    case .newRemainder: return Grid(vector: new.count - overlap.count)
    }
  }

  /// Returns whether every element of a stream must be stored.
  func isDense(_ stream: DiffStream) -> Bool {
    if case .reshape = operation { stream != .changes } else { operation.code.isWhole }
  }
}

extension Shape {
  /// Returns the box of indices that both shapes contain, in units; empty if the ranks differ.
  package func overlap(_ other: Shape) -> Shape {
    let (mine, theirs) = (unitExtents, other.unitExtents)
    guard mine.count == theirs.count else { return Shape(vector: 0) }
    return Shape(zip(mine, theirs).map(min)) ?? Shape(vector: 0)
  }
}

/// A tensor as rows: the part of its shape that position codings use.
struct Grid: Equatable {
  let count: UInt64
  let rowLength: UInt64

  init(count: UInt64, rowLength: UInt64) {
    self.count = count
    self.rowLength = max(rowLength, 1)
  }

  init(vector count: UInt64) { self.init(count: count, rowLength: count) }
}

/// A stored page: up to 32 768 changes that can be decoded independently.
public struct PageInfo: Sendable, Hashable {
  /// The position of the page's first change.
  public let start: UInt64
  /// The number of elements from the first change to the last, both included.
  public let span: UInt64
  /// The number of changes.
  public let count: Int
  /// The offset in the file and the number of the page's bytes.
  public let offset, storedSize: UInt64
  /// XXH3-64 of the page's bytes.
  public let checksum: UInt64

  /// The position after the last change.
  public var end: UInt64 { start + span }
}
