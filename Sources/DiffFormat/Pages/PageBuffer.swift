import TensorCore

/// Room for one decoded page, used again for the next one: about a megabyte, whatever the file.
public struct PageBuffer: Sendable {
  /// The position of the first change in its tensor.
  public private(set) var start: UInt64 = 0
  /// The position after the last change.
  public private(set) var end: UInt64 = 0
  /// How many changes the page holds.
  public private(set) var count = 0
  /// Bytes of a value.
  public private(set) var valueWidth = 1
  /// How the page was stored.
  public private(set) var encoding = PageEncoding()

  private var stored: [UInt8] = []
  private var offsetRoom: [UInt32] = []
  private var valueRoom: [UInt8] = []
  private var offsetScratch: [UInt32] = []
  private var valueScratch: [UInt8] = []

  /// An empty buffer.
  public init() {}

  /// Positions less `start`, ascending; the first one is 0.
  public var offsets: Span<UInt32> {
    @_lifetime(borrow self) get { offsetRoom.span.extracting(first: count) }
  }

  /// The values in the same order, little-endian, `valueWidth` bytes each.
  public var values: Span<UInt8> {
    @_lifetime(borrow self) get { valueRoom.span.extracting(first: count * valueWidth) }
  }

  /// Reads and decodes a page.
  ///
  /// - Throws: `checksum`, `malformed`, `truncated` or `io`, with the byte offset in the file.
  /// - Complexity: O(`page.count`); for bitmaps, O(`page.storedSize`).
  public mutating func load(
    _ page: PageInfo, of entry: DiffEntry, _ stream: DiffStream = .changes,
    from source: any ByteSource
  ) throws(DiffError) {
    try read(page, from: source)
    guard checksumsMatch(XXH3.hash64(stored.span), page.checksum) else {
      throw DiffError(
        .checksum, "a page does not match its checksum", path: source.name, tensor: entry.name,
        offset: page.offset)
    }
    do throws(DiffError) {
      try decode(page, entry.grid(of: stream), valueWidth: entry.valueWidth)
    } catch {
      count = 0
      throw error.inFile(source.name, page, of: entry)
    }
  }

  private mutating func read(
    _ page: PageInfo, from source: any ByteSource
  ) throws(DiffError) {
    let size = Int(page.storedSize)
    if stored.count > size { stored.removeLast(stored.count - size) }
    stored.append(contentsOf: repeatElement(0, count: size - stored.count))
    var room = stored.mutableSpan
    try source.read(at: page.offset, into: &room)
  }

  private mutating func decode(
    _ page: PageInfo, _ grid: Grid, valueWidth: Int
  ) throws(DiffError) {
    start = page.start
    end = page.end
    count = page.count
    self.valueWidth = valueWidth
    makeRoom()
    let head = try PageHead(stored)
    encoding = PageEncoding(positions: head.coding, traversal: head.traversal)
    encoding.positionBytes = head.positions.count
    let positions = PagePositions(start: start, span: page.span, count: count, grid: grid)
    try Self.decode(positions, head, stored, &offsetRoom, &offsetScratch)
    try Self.decode(
      values: count, width: valueWidth, head, stored, &valueRoom, &valueScratch)
  }

  private static func decode(
    _ positions: PagePositions, _ head: PageHead, _ bytes: [UInt8], _ room: inout [UInt32],
    _ scratch: inout [UInt32]
  ) throws(DiffError) {
    var offsets = room.mutableSpan._consumingExtracting(0..<positions.count)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<positions.count)
    try positions.decode(
      head.traversal, head.coding, bytes, head.positions, into: &offsets, scratch: &scratch)
  }

  private static func decode(
    values count: Int, width: Int, _ head: PageHead, _ bytes: [UInt8],
    _ room: inout [UInt8], _ scratch: inout [UInt8]
  ) throws(DiffError) {
    var values = room.mutableSpan._consumingExtracting(0..<count * width)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<count * width)
    try Planes.decode(
      bytes, head.positions.upperBound..<bytes.count, width: width, into: &values,
      scratch: &scratch)
  }

  private mutating func makeRoom() {
    if offsetRoom.count < count {
      offsetRoom = [UInt32](repeating: 0, count: count)
      offsetScratch = offsetRoom
    }
    if valueRoom.count < count * valueWidth {
      valueRoom = [UInt8](repeating: 0, count: count * valueWidth)
      valueScratch = valueRoom
    }
  }
}

/// How a page is stored.
public struct PageEncoding: Sendable, Hashable {
  /// The code of its positions.
  public var positions = PositionCoding.dense
  /// The order in which they are coded.
  public var traversal = Traversal.rows
  /// Bytes of its positions.
  public var positionBytes = 0
}

/// The first bytes of a page: a byte for traversal and coding, then the size of the positions.
struct PageHead {
  let traversal: Traversal
  let coding: PositionCoding
  /// Where the positions are.
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
