import TensorCore

/// Reads entries of the index. An entry is parsed when the file is opened, to check every rule
/// without keeping the entry, and again when it is requested.
struct IndexParser {
  private let bytes: [UInt8]
  private(set) var cursor: Cursor
  /// The offset in the file of the next entry's pages.
  private(set) var pageOffset: UInt64
  private var previousName = 0..<0
  /// True if the file allows elements that are not whole bytes.
  private let allowsPacked: Bool

  /// Creates a parser of index bytes, which begin at `origin` in the file, that starts at byte
  /// `at`.
  init(
    _ bytes: [UInt8], origin: UInt64, at: Int = 0, pageOffset: UInt64 = 0, allowsPacked: Bool
  ) {
    self.bytes = bytes
    self.allowsPacked = allowsPacked
    self.cursor = Cursor(bytes, origin: origin, at: at)
    self.pageOffset = pageOffset
  }

  /// The operation, type and flags precede the name of an entry.
  static let bytesBeforeName = 3
  /// The minimum size of a page in the index: four numbers and a checksum.
  private static let leastPage = 12
  /// The minimum size of an entry: operation, type and flags, a name of one byte with its length, a
  /// rank and a page count.
  private static let leastEntry = 7

  mutating func entryCount() throws(DiffError) -> UInt64 {
    try count("entry count", atMost: cursor.remaining / Self.leastEntry)
  }

  /// Reads a count of items, whose limit follows from the rest of the index.
  private mutating func count(
    _ what: String, atMost limit: Int
  ) throws(DiffError) -> UInt64 {
    let offset = cursor.offset
    let count = try cursor.varint(what)
    guard count <= UInt64(limit) else {
      throw DiffError(.malformed, "the \(what) is more than the index holds", offset: offset)
    }
    return count
  }

  // MARK: Metadata

  mutating func metadata() throws(DiffError) -> [String: String] {
    var metadata: [String: String] = [:]
    let start = cursor.at
    var previous: Range<Int>?
    for _ in 0..<(try count("metadata count", atMost: cursor.remaining / 3)) {
      let offset = cursor.offset
      let key = try cursor.text("metadata key", atMost: Layout.metadataKeyLength)
      guard !key.isEmpty, bytes[key].allSatisfy(Layout.isKeyByte) else {
        throw DiffError(.malformed, "a metadata key is not printable ASCII", offset: offset)
      }
      if let previous {
        guard bytes[previous].lexicographicallyPrecedes(bytes[key]) else {
          throw DiffError(.malformed, "metadata keys are not in order", offset: offset)
        }
      }
      previous = key
      let value = try cursor.text("metadata value", atMost: Layout.metadataSize)
      metadata[string(key)] = string(value)
      guard cursor.at - start <= Layout.metadataSize else {
        throw cursor.error(.limit, "more than \(Layout.metadataSize) bytes of metadata")
      }
    }
    return metadata
  }

  // MARK: Extensions

  /// Reads the extensions, which follow the last entry: their identifiers and byte ranges.
  mutating func extensions() throws(DiffError) -> [(identifier: UInt64, bytes: Range<Int>)] {
    var found: [(identifier: UInt64, bytes: Range<Int>)] = []
    var previous: UInt64?
    for _ in 0..<(try count("extension count", atMost: cursor.remaining / 2)) {
      let offset = cursor.offset
      let identifier = try cursor.varint("extension identifier")
      if let previous, previous >= identifier {
        throw DiffError(.malformed, "extensions are not in order", offset: offset)
      }
      previous = identifier
      found.append(
        (identifier, try cursor.take(try cursor.varint("extension size"), "extension")))
    }
    guard cursor.remaining == 0 else { throw cursor.malformed("bytes after the index") }
    return found
  }

  // MARK: Entries

  /// The fields before the shape.
  private struct Head {
    var operation = DiffOperation.Code.add
    var type = ElementType.u8
    var flags: UInt8 = 0
    var name = 0..<0
  }

  private mutating func head() throws(DiffError) -> Head {
    var head = Head()
    let offset = cursor.offset
    let operation = try cursor.byte("operation")
    guard let known = DiffOperation.Code(rawValue: operation) else {
      throw DiffError(.malformed, "unknown operation \(operation)", offset: offset)
    }
    head.operation = known
    let code = try cursor.byte("element type")
    guard let type = ElementType(rawValue: code), allowsPacked || type.unit == 1 else {
      throw DiffError(.malformed, "unknown element type \(code)", offset: offset + 1)
    }
    head.type = type
    head.flags = try cursor.byte("flags")
    guard head.flags & ~head.operation.allowedFlags == 0 else {
      throw DiffError(.malformed, "flags that the operation does not have", offset: offset + 2)
    }
    head.name = try cursor.text("name", atMost: Layout.nameLength)
    guard !head.name.isEmpty else {
      throw DiffError(.malformed, "a name is empty", offset: offset + 3)
    }
    guard bytes.span.extracting(previousName).compared(with: bytes.span.extracting(head.name)) < 0
    else {
      throw DiffError(.malformed, "names are not in order", offset: offset + 3)
    }
    previousName = head.name
    return head
  }

  /// Checks and skips the next entry; allocates for a `reshape` only.
  mutating func skim() throws(DiffError) {
    let head = try head()
    if head.operation == .reshape {
      _ = try body(head)
      return
    }
    let offset = cursor.offset
    var elements = ElementCount()
    try extents { elements.multiply(by: $0) }
    let unit = UInt64(head.type.unit)
    guard elements.value % unit == 0 else { throw partialUnit(head.type, at: offset) }
    let width = head.operation == .add ? try values(of: head.type).float.width : head.type.width
    for _ in 0..<head.flags.nonzeroBitCount { _ = try cursor.take(16, "fingerprint") }
    try pages(Grid(vector: elements.value / unit), dense: head.operation.isWhole, width: width) {
      _ in
    }
  }

  /// Reads the next entry.
  mutating func entry() throws(DiffError) -> DiffEntry { try body(try head()) }

  private mutating func body(_ head: Head) throws(DiffError) -> DiffEntry {
    let shape = try shape(of: head.type)
    let operation: DiffOperation
    switch head.operation {
    case .add:
      let (float, scale) = try values(of: head.type)
      operation = .add(values: float, scale: scale)
    case .replace: operation = .replace
    case .xor: operation = .xor
    case .insert: operation = .insert
    case .delete: operation = .delete
    case .reshape:
      let offset = cursor.offset
      let new = try self.shape(of: head.type)
      guard new != shape else {
        throw DiffError(.malformed, "reshape to the same shape", offset: offset)
      }
      operation = .reshape(to: new)
    }
    var entry = DiffEntry(TensorName(string(head.name)), operation, head.type, shape)
    if head.flags & 1 != 0 { entry.base = try cursor.fingerprint("base fingerprint") }
    if head.flags & 2 != 0 { entry.result = try cursor.fingerprint("result fingerprint") }
    if head.flags & 4 != 0 { entry.old = try cursor.fingerprint("hash of the old elements") }
    for stream in operation.streams {
      var list: [PageInfo] = []
      try pages(
        entry.grid(of: stream), dense: entry.isDense(stream), width: entry.valueWidth
      ) { list.append($0) }
      if !list.isEmpty { entry.pages[stream] = list }
    }
    return entry
  }

  /// Calls `body` with each extent; it returns false if there are too many elements.
  private mutating func extents(_ body: (UInt64) -> Bool) throws(DiffError) {
    let rank = try cursor.varint("rank", atMost: UInt64(Shape.maximumRank))
    for _ in 0..<rank {
      let offset = cursor.offset
      guard body(try cursor.varint("extent")) else {
        throw DiffError(.limit, "a tensor of 2^60 elements or more", offset: offset)
      }
    }
  }

  private mutating func shape(of type: ElementType) throws(DiffError) -> Shape {
    let offset = cursor.offset
    var shape = Shape.scalar
    var list: [UInt64] = []
    try extents { extent in
      list.append(extent)
      guard let longer = Shape(list) else { return false }
      shape = longer
      return true
    }
    guard let units = shape.inUnits(of: type) else { throw partialUnit(type, at: offset) }
    return units
  }

  private func partialUnit(_ type: ElementType, at offset: UInt64) -> DiffError {
    DiffError(
      .malformed, "a number of elements of type \(type) that is not a multiple of \(type.unit)",
      offset: offset)
  }

  /// Reads the type and the scale of additive values.
  private mutating func values(
    of type: ElementType
  ) throws(DiffError) -> (float: FloatType, scale: Int) {
    let offset = cursor.offset
    guard let tensor = type.float else {
      throw DiffError(.malformed, "an addition to elements of type \(type)", offset: offset)
    }
    let code = try cursor.byte("value type")
    guard let float = ElementType(rawValue: code)?.float, float != .f64 else {
      throw DiffError(.malformed, "unknown value type \(code)", offset: offset)
    }
    let folded = try cursor.varint("scale", atMost: 2048)
    let scale = Int(folded >> 1) ^ -Int(folded & 1)
    guard DiffEntry.scales(of: tensor).contains(scale) else {
      throw DiffError(.limit, "a scale of 2^\(scale)", offset: offset + 1)
    }
    return (float, scale)
  }

  private mutating func pages(
    _ grid: Grid, dense: Bool, width: Int, _ body: (PageInfo) -> Void
  ) throws(DiffError) {
    let offset = cursor.offset
    let pageCount = try count("page count", atMost: cursor.remaining / Self.leastPage)
    var end: UInt64 = 0
    var previous: (start: UInt64, isFull: Bool) = (0, true)
    for _ in 0..<pageCount {
      let offset = cursor.offset
      let skip = try cursor.varint("skip")
      let span = try cursor.varint("span", atMost: Layout.pageSpan)
      let count = try cursor.varint("count", atMost: UInt64(Layout.pageCapacity))
      let size = try cursor.varint("page size", atMost: Layout.pageSize)
      let checksum = try cursor.u64("page checksum")
      guard count >= 1, count <= span, count > 1 || span == 1, skip <= grid.count - end,
        span <= grid.count - end - skip, !dense || (skip == 0 && count == span),
        size >= UInt64(2 + 2 * width)
      else { throw DiffError(.malformed, "a page does not fit its tensor", offset: offset) }
      let start = end + skip
      // Pages are as full as possible, so that changes can be divided in one way only.
      guard previous.isFull || start - previous.start >= Layout.pageSpan else {
        throw DiffError(.malformed, "a page before the last one is not full", offset: offset)
      }
      previous = (start, count == Layout.pageCapacity)
      body(
        PageInfo(
          start: start, span: span, count: Int(count), offset: pageOffset, storedSize: size,
          checksum: checksum))
      end = start + span
      pageOffset += size
    }
    guard !dense || end == grid.count else {
      throw DiffError(.malformed, "pages that do not cover their tensor", offset: offset)
    }
  }

  private func string(_ range: Range<Int>) -> String {
    String(decoding: bytes[range], as: UTF8.self)
  }
}

extension DiffEntry {
  /// Returns the valid scales of an addition: 2^scale is a normal number of the type in which the
  /// addition is calculated.
  package static func scales(of type: FloatType) -> ClosedRange<Int> {
    type == .f64 ? -1022...1023 : -126...127
  }
}
