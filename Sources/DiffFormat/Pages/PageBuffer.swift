import TensorCore

/// Memory for one decoded page, used again for the next one: about a megabyte, whatever the file.
public struct PageBuffer: Sendable {
  /// How the page was stored.
  public private(set) var encoding = PageEncoding()

  private var start: UInt64 = 0
  private var count = 0
  private var valueWidth = 1
  private var stored: [UInt8] = []
  // Of these, as many elements are in use as the page has changes.
  private var offsets: [UInt32] = []
  private var values: [UInt8] = []
  private var offsetScratch: [UInt32] = []
  private var valueScratch: [UInt8] = []

  /// An empty buffer.
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
    count = page.count
    self.valueWidth = valueWidth
    makeRoom()
    let head = try PageHead(stored)
    encoding = PageEncoding(positions: head.coding, traversal: head.traversal)
    encoding.positionBytes = head.positions.count
    let positions = PagePositions(start: start, span: page.span, count: count, grid: grid)
    try Self.decode(positions, head, stored, into: &offsets, scratch: &offsetScratch)
    try Self.decode(
      values: count, width: valueWidth, head, stored, into: &values, scratch: &valueScratch)
  }

  private static func decode(
    _ positions: PagePositions, _ head: PageHead, _ bytes: [UInt8], into room: inout [UInt32],
    scratch: inout [UInt32]
  ) throws(DiffError) {
    var offsets = room.mutableSpan._consumingExtracting(0..<positions.count)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<positions.count)
    try positions.decode(
      head.traversal, head.coding, from: bytes, in: head.positions, into: &offsets,
      scratch: &scratch)
  }

  private static func decode(
    values count: Int, width: Int, _ head: PageHead, _ bytes: [UInt8],
    into room: inout [UInt8], scratch: inout [UInt8]
  ) throws(DiffError) {
    var values = room.mutableSpan._consumingExtracting(0..<count * width)
    var scratch = scratch.mutableSpan._consumingExtracting(0..<count * width)
    try Planes.decode(
      bytes, head.positions.upperBound..<bytes.count, width: width, into: &values,
      scratch: &scratch)
  }

  private mutating func makeRoom() {
    if offsets.count < count {
      offsets = [UInt32](repeating: 0, count: count)
      offsetScratch = offsets
    }
    if values.count < count * valueWidth {
      values = [UInt8](repeating: 0, count: count * valueWidth)
      valueScratch = values
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
