import SystemSupport
import TensorCore

/// Writes a diff sequentially, entry by entry in ascending order of names, in bounded memory: a few
/// pages of changes, and for the index about 15 bytes for every 32 768 changes.
///
///     let sink = try FileSink("task.diff")
///     let writer = try DiffWriter(sink, metadata: ["task": "sst2"])
///     try writer.begin(DiffEntry("dense/kernel", .xor, .f32, shape))
///     try writer.append(ChangeView(at: 0, offsets.span, values.span))
///     try writer.end()
///     try writer.finish()
///     try sink.commit()
///
/// Equal calls give equal bytes, on any number of cores, for one build of zlib.
public final class DiffWriter {
  /// The metadata of the diff; may be changed until `finish`.
  public var metadata: [String: String]

  /// The extensions of the diff, each identifier once; may be changed until `finish`.
  public var extensions: [DiffExtension] = []

  private let sink: any ByteSink
  private let allowsPacked: Bool
  private let profile: EncodingProfile
  private var offset = UInt64(Layout.headerSize)
  private var index: [UInt8] = []
  private var entryCount: UInt64 = 0
  private var previousName: TensorName?

  /// Entries whose pages are not all written; the last one may still be open.
  private var entries: [DiffEntry] = []
  private var isOpen = false
  private var stream = DiffStream.changes
  /// The number of values of the stream so far.
  private var streamCount: UInt64 = 0
  /// Pages that are full or being filled, of one or several entries; encoded together on all cores.
  private var pending = [PendingPage](repeating: PendingPage(), count: 8)
  /// The index of the page being filled.
  private var filling = 0
  /// The position after the last change.
  private var pageEnd: UInt64 = 0

  /// Starts a diff on `sink`.
  ///
  /// - Parameters:
  ///   - sink: the destination of the diff.
  ///   - metadata: the metadata of the diff, which may be changed until `finish`.
  ///   - profile: the profile by which encodings are chosen.
  ///   - packed: whether an entry may have elements that are not whole bytes, which the header
  ///     declares; readers of version 1.0 refuse such a file.
  public init(
    _ sink: any ByteSink, metadata: [String: String] = [:], profile: EncodingProfile = .size,
    packed: Bool = false
  ) throws(DiffError) {
    try metadata.checkKeys()
    self.sink = sink
    allowsPacked = packed
    self.metadata = metadata
    self.profile = profile
    var header = Layout.signature
    header += Layout.major.littleEndianBytes
    header += (packed ? Layout.packedMinor : Layout.minor).littleEndianBytes
    header += (packed ? Layout.packedElements : 0).littleEndianBytes
    header += [UInt8](repeating: 0, count: 8)
    header += XXH3.hash64(header.span).littleEndianBytes
    try sink.write(header.span)
  }

  /// Starts an entry.
  ///
  /// - Throws: `usage` if its name does not follow the previous one, is empty or too long, or if
  ///   its operation is not defined for its type.
  public func begin(_ entry: DiffEntry) throws(DiffError) {
    precondition(!isOpen, "begin before end")
    try check(entry)
    previousName = entry.name
    var entry = entry
    entry.pages = [:]
    entries.append(entry)
    isOpen = true
    try begin(first: .changes)
  }

  /// Starts another stream of a `reshape`.
  public func begin(_ stream: DiffStream) throws(DiffError) {
    let entry = current
    guard entry.operation.streams.contains(stream), stream.rawValue > self.stream.rawValue
    else { throw DiffError(.usage, "streams must be written in order", tensor: entry.name) }
    // A dense stream in between must not be skipped.
    for passed in entry.operation.streams
    where passed.rawValue >= self.stream.rawValue && passed.rawValue < stream.rawValue {
      try checkDense(passed, passed == self.stream ? streamCount : 0)
    }
    try begin(first: stream)
  }

  private func begin(first stream: DiffStream) throws(DiffError) {
    if !pending[filling].isEmpty { try nextPage() }
    self.stream = stream
    streamCount = 0
    pageEnd = 0
  }

  /// Appends changes, whose positions must ascend, also from one call to the next.
  ///
  /// - Parameter changes: `entry.valueWidth` bytes for each offset, little-endian.
  /// - Throws: `usage` if positions do not ascend or leave the tensor.
  public func append(_ changes: ChangeView<UInt8>) throws(DiffError) {
    guard !changes.isEmpty else { return }
    let entry = current
    precondition(changes.width == entry.valueWidth)
    let disorder = DiffError(
      .usage, "positions out of order or outside of the tensor", tensor: entry.name)
    let grid = entry.grid(of: stream)
    let last = UInt64(changes.offsets[changes.count - 1])
    guard changes.start < grid.count, last < grid.count - changes.start else { throw disorder }
    streamCount += UInt64(changes.count)
    var done = 0
    while done < changes.count {
      let first = changes.position(done)
      if pending[filling].isFull || !pending[filling].reaches(first) { try nextPage() }
      if pending[filling].isEmpty {
        guard first >= pageEnd else { throw disorder }
        pending[filling].begin(at: first, of: entries.count - 1, stream, grid)
      }
      let rest = changes.extracting(done..<changes.count)
      guard let taken = pending[filling].append(rest) else { throw disorder }
      done += taken
      pageEnd = pending[filling].end
    }
  }

  /// Appends changes; see `append(_:)` of a view.
  public func append(_ changes: ChangeRun<UInt8>) throws(DiffError) { try append(changes.view) }

  /// Appends all elements of a tensor, or of a contiguous part, starting at the position `start`.
  ///
  /// - Throws: `usage` if positions do not ascend or leave the tensor.
  public func append(at start: UInt64, every elements: Span<UInt8>) throws(DiffError) {
    let width = current.valueWidth
    let count = elements.count / width
    precondition(elements.count == count * width)
    for first in stride(from: 0, to: count, by: Layout.pageCapacity) {
      let end = min(count, first + Layout.pageCapacity)
      try append(
        ChangeView(
          at: start + UInt64(first), Self.everyOffset.span.extracting(0..<end - first),
          elements.extracting(first * width..<end * width)))
    }
  }

  /// The offsets of a page without gaps.
  private static let everyOffset = Array(0..<UInt32(Layout.pageCapacity))

  /// Ends the entry and sets fingerprints that are known only now.
  public func end(
    base: Fingerprint? = nil, result: Fingerprint? = nil, old: Fingerprint? = nil
  ) throws(DiffError) {
    var entry = current
    entry.base = base ?? entry.base
    entry.result = result ?? entry.result
    entry.old = old ?? entry.old
    for stream in entry.operation.streams where stream.rawValue >= self.stream.rawValue {
      try checkDense(stream, stream == self.stream ? streamCount : 0)
    }
    guard entry.flags & ~entry.operation.code.allowedFlags == 0 else {
      throw DiffError(
        .usage, "'\(entry.operation.name)' does not have these fingerprints", tensor: entry.name)
    }
    entries[entries.count - 1] = entry
    isOpen = false
    if entries.count > Self.entryLimit { try flush() }
  }

  /// The maximum number of entries that are buffered before a flush.
  private static let entryLimit = 64

  /// The entry between `begin` and `end`.
  private var current: DiffEntry {
    guard isOpen, let entry = entries.last else { preconditionFailure("no entry was started") }
    return entry
  }

  private func checkDense(_ stream: DiffStream, _ count: UInt64) throws(DiffError) {
    guard !current.isDense(stream) || count == current.grid(of: stream).count else {
      throw DiffError(.usage, "a whole tensor with missing elements", tensor: current.name)
    }
  }

  /// Writes the index and the footer, which completes the file.
  public func finish() throws(DiffError) {
    precondition(!isOpen, "finish before end")
    try flush()
    var tail: [UInt8] = []
    try tail.append(metadata: metadata)
    tail.append(varint: entryCount)
    tail += index
    tail.append(varint: UInt64(extensions.count))
    for item in extensions.sorted(by: { $0.identifier < $1.identifier }) {
      tail.append(varint: item.identifier)
      tail.append(varint: UInt64(item.bytes.count))
      tail += item.bytes
    }
    let indexSize = UInt64(tail.count)
    let identity = XXH3.hash128(tail.span)
    var footer = indexSize.littleEndianBytes
    footer += (offset + indexSize + UInt64(Layout.footerSize)).littleEndianBytes
    footer += identity.bytes
    footer += XXH3.hash64(footer.span).littleEndianBytes
    footer += Layout.endSignature
    tail += footer
    try sink.write(tail.span)
  }

  // MARK: Pages

  private func nextPage() throws(DiffError) {
    filling += 1
    if filling == pending.count { try flush() }
  }

  /// Encodes and writes the pending pages, and adds the entries that are complete to the index.
  private func flush() throws(DiffError) {
    let used = filling < pending.count && !pending[filling].isEmpty ? filling + 1 : filling
    let profile = profile
    try parallelForEach(&pending, count: used) { _, page throws(DiffError) in page.encode(profile) }
    for number in 0..<used {
      // Field by field: with a copy of the page, `removeAll` would allocate new memory.
      let (encoded, start) = (pending[number].encoded, pending[number].changes.start)
      try write(
        encoded, start: start, span: pending[number].end - start,
        count: pending[number].changes.count, entry: pending[number].entry, pending[number].stream)
      pending[number].removeAll()
    }
    filling = 0
    let complete = isOpen ? entries.count - 1 : entries.count
    for entry in entries[..<complete] { index.append(entry: entry) }
    entryCount += UInt64(complete)
    entries.removeFirst(complete)
  }

  /// Writes a page and adds it to its entry.
  private func write(
    _ bytes: [UInt8], start: UInt64, span: UInt64, count: Int, entry: Int, _ stream: DiffStream
  ) throws(DiffError) {
    try sink.write(bytes.span)
    entries[entry].pages[stream, default: []].append(
      PageInfo(
        start: start, span: span, count: count, offset: offset, storedSize: UInt64(bytes.count),
        checksum: XXH3.hash64(bytes.span)))
    offset += UInt64(bytes.count)
  }

  /// Writes an entry of another diff with its stored pages.
  ///
  /// - Throws: the errors of `begin` and of reading; `checksum` if a page is damaged.
  /// - Complexity: O(bytes of the entry), in memory of a page.
  package func copy(_ entry: DiffEntry, from source: any ByteSource) throws(DiffError) {
    try begin(entry)
    try flush()
    for stream in entry.operation.streams {
      for page in entry.pages[stream] ?? [] {
        let bytes = try source.bytes(at: page.offset, count: Int(page.storedSize))
        guard checksumsMatch(XXH3.hash64(bytes.span), page.checksum) else {
          throw DiffError(
            .checksum, "a page does not match its checksum", path: source.name,
            tensor: entry.name, offset: page.offset)
        }
        try write(
          bytes, start: page.start, span: page.span, count: page.count, entry: 0, stream)
      }
    }
    isOpen = false
  }

  private func check(_ entry: DiffEntry) throws(DiffError) {
    func refuse(_ message: String) -> DiffError { DiffError(.usage, message, tensor: entry.name) }
    guard (1...Layout.nameLength).contains(entry.name.utf8.count) else {
      throw refuse("a name must have 1 to \(Layout.nameLength) bytes")
    }
    if let previousName, previousName >= entry.name {
      throw refuse("entries must be written in ascending order of names")
    }
    guard allowsPacked || entry.type.unit == 1 else {
      throw refuse("elements of type \(entry.type) in a diff without packed elements")
    }
    guard
      ([entry.shape] + [entry.newShape].compactMap(\.self)).allSatisfy({
        $0.unit == entry.type.unit
      })
    else { throw refuse("a shape that is not in units of \(entry.type)") }
    if case .add(let values, let scale) = entry.operation {
      guard let float = entry.type.float, values != .f64,
        DiffEntry.scales(of: float).contains(scale)
      else { throw refuse("additions of \(values) · 2^\(scale) to \(entry.type) are not defined") }
    }
    if case .reshape(let new) = entry.operation, new == entry.shape {
      throw refuse("a reshape to the same shape")
    }
  }
}

extension DiffReader {
  /// Writes this diff with other metadata; its pages are copied, not encoded again.
  ///
  /// - Throws: the errors of reading and writing; `checksum` if a page is damaged.
  /// - Complexity: O(size), in memory of a page.
  package func write(
    into sink: any ByteSink, metadata: [String: String]
  ) throws(DiffError) {
    let writer = try DiffWriter(sink, metadata: metadata, packed: hasPackedElements)
    for entry in self { try writer.copy(entry, from: source) }
    writer.carry(attributes)
    if let checkpoints {
      writer.extensions.append(DiffExtension(checkpoints: checkpoints))
    }
    try writer.finish()
  }
}
