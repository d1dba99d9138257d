import TensorCore

/// Memory that decoding a page takes besides the page itself. It serves one page after the other, so
/// that callers who hold many pages need one for each thread.
package struct PageScratch: Sendable {
  fileprivate var stored: [UInt8] = []
  fileprivate var offsets: [UInt32] = []
  fileprivate var values: [UInt8] = []

  package init() {}
}

/// Memory for one decoded page, reused for the next one: about a megabyte, regardless of the file.
public struct PageBuffer: Sendable {
  /// The encoding of the page.
  public private(set) var encoding = PageEncoding()

  private var start: UInt64 = 0
  private var count = 0
  private var valueWidth = 1
  // Buffers of which the elements of the page's changes are in use.
  private var offsets: [UInt32] = []
  private var values: [UInt8] = []
  private var scratch = PageScratch()

  /// Creates an empty buffer.
  public init() {}

  /// The changes of the page; the first one's offset is 0.
  public var changes: ChangeView<UInt8> {
    @_lifetime(borrow self) get {
      ChangeView(
        at: start, offsets.span.extracting(first: count),
        values.span.extracting(first: count * valueWidth))
    }
  }

  /// Reads and decodes a page.
  ///
  /// - Throws: `checksum`, `malformed`, `truncated` or `io`, with the byte offset in the file.
  /// - Complexity: O(`page.count`); for bitmaps, O(`page.storedSize`).
  public mutating func load(
    _ page: PageInfo, of entry: DiffEntry, _ stream: DiffStream = .changes,
    from source: any ByteSource
  ) throws(DiffError) {
    var own = PageScratch()
    swap(&own, &scratch)
    defer { swap(&own, &scratch) }
    try load(page, of: entry, stream, from: source, using: &own)
  }

  /// Reads and decodes a page as `load` does, in memory that other pages use, too.
  package mutating func load(
    _ page: PageInfo, of entry: DiffEntry, _ stream: DiffStream = .changes,
    from source: any ByteSource, using scratch: inout PageScratch
  ) throws(DiffError) {
    try scratch.read(page, from: source)
    guard checksumsMatch(XXH3.hash64(scratch.stored.span), page.checksum) else {
      throw DiffError(
        .checksum, "a page does not match its checksum", path: source.name, tensor: entry.name,
        offset: page.offset)
    }
    do throws(DiffError) {
      try decode(page, entry.grid(of: stream), valueWidth: entry.valueWidth, using: &scratch)
    } catch {
      count = 0
      throw error.inFile(source.name, page, of: entry)
    }
  }

  private mutating func decode(
    _ page: PageInfo, _ grid: Grid, valueWidth: Int, using scratch: inout PageScratch
  ) throws(DiffError) {
    start = page.start
    count = page.count
    self.valueWidth = valueWidth
    offsets.grow(to: count)
    scratch.offsets.grow(to: count)
    values.grow(to: count * valueWidth)
    scratch.values.grow(to: count * valueWidth)
    let head = try PageHead(scratch.stored)
    encoding = PageEncoding(positions: head.coding, traversal: head.traversal)
    encoding.positionBytes = head.positions.count
    let positions = PagePositions(start: start, span: page.span, count: count, grid: grid)
    try Self.decode(positions, head, scratch.stored, into: &offsets, scratch: &scratch.offsets)
    try Self.decode(
      values: count, width: valueWidth, head, scratch.stored, into: &values,
      scratch: &scratch.values)
  }

  private static func decode(
    _ positions: PagePositions, _ head: PageHead, _ bytes: [UInt8], into buffer: inout [UInt32],
    scratch: inout [UInt32]
  ) throws(DiffError) {
    var offsets = buffer.mutableSpan._consumingExtracting(0..<positions.count)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<positions.count)
    try positions.decode(
      head.traversal, head.coding, from: bytes, in: head.positions, into: &offsets,
      scratch: &scratch)
  }

  private static func decode(
    values count: Int, width: Int, _ head: PageHead, _ bytes: [UInt8],
    into buffer: inout [UInt8], scratch: inout [UInt8]
  ) throws(DiffError) {
    var values = buffer.mutableSpan._consumingExtracting(0..<count * width)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<count * width)
    try Planes.decode(
      bytes, head.positions.upperBound..<bytes.count, width: width, into: &values,
      scratch: &scratch)
  }
}

extension PageScratch {
  fileprivate mutating func read(
    _ page: PageInfo, from source: any ByteSource
  ) throws(DiffError) {
    let size = Int(page.storedSize)
    if stored.count > size { stored.removeLast(stored.count - size) }
    stored.append(contentsOf: repeatElement(0, count: size - stored.count))
    var buffer = stored.mutableSpan
    try source.read(at: page.offset, into: &buffer)
  }
}

extension Array where Element: FixedWidthInteger {
  /// Replaces the array by one of `count` zeros, if it has fewer elements.
  fileprivate mutating func grow(to count: Int) {
    if self.count < count { self = Array(repeating: 0, count: count) }
  }
}

/// The encoding of a page.
public struct PageEncoding: Sendable, Hashable {
  /// The coding of its positions.
  public var positions = PositionCoding.dense
  /// The order in which they are coded.
  public var traversal = Traversal.rows
  /// The number of bytes of its positions.
  public var positionBytes = 0
}

/// The first bytes of a page: a byte for traversal and coding, then the size of the positions.
struct PageHead {
  let traversal: Traversal
  let coding: PositionCoding
  /// The byte range of the positions.
  let positions: Range<Int>

  init(_ bytes: [UInt8]) throws(DiffError) {
    var cursor = Cursor(bytes, origin: 0)
    let code = try cursor.byte("page header")
    guard let coding = PositionCoding(rawValue: code & 15),
      let traversal = Traversal(rawValue: code >> 4)
    else { throw .inPage("unknown position coding \(code)", at: 0) }
    self.coding = coding
    self.traversal = traversal
    positions = try cursor.take(try cursor.varint("size of the positions"), "positions")
  }
}
