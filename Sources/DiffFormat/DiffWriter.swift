import TensorCore

/// Writes a diff forwards, entry by entry in ascending order of names, in bounded memory: a few
/// pages of changes, and for the index about 15 bytes for every 32 768 changes.
///
///     let sink = try FileSink("task.diff")
///     let writer = try DiffWriter(sink, metadata: ["task": "sst2"])
///     try writer.begin(DiffEntry("dense/kernel", .xor, .f32, shape))
///     try writer.append(at: 0, offsets.span, values.span)
///     try writer.end()
///     try writer.finish()
///     try sink.commit()
///
/// Equal calls give equal bytes, on any number of cores, for one build of zlib.
public final class DiffWriter {
  /// Facts about the diff; may be changed until `finish`.
  public var metadata: [String: String]

  private let sink: any ByteSink
  private let profile: EncodingProfile
  private var offset = UInt64(Layout.headerSize)
  private var index: [UInt8] = []
  private var entryCount: UInt64 = 0
  private var previousName: String?

  private var entry: DiffEntry?
  private var stream = DiffStream.changes
  /// Pages that are full or being filled; encoded together on all cores.
  private var batch = [PendingPage](repeating: PendingPage(), count: 8)
  /// The number of the page being filled.
  private var filling = 0
  /// The position after the last change.
  private var pageEnd: UInt64 = 0

  /// Starts a diff on `sink`.
  public init(
    _ sink: any ByteSink, metadata: [String: String] = [:], profile: EncodingProfile = .size
  ) throws(DiffError) {
    try metadata.checkKeys()
    self.sink = sink
    self.metadata = metadata
    self.profile = profile
    var header = Layout.signature
    header += Layout.major.littleEndianBytes + Layout.minor.littleEndianBytes
    header += [UInt8](repeating: 0, count: 12)
    header += XXH3.hash64(header.span).littleEndianBytes
    try sink.write(header.span)
  }

  /// Starts an entry.
  ///
  /// - Throws: `usage` if its name is not behind the one before, is empty or too long, or if its
  ///   operation does not go with its type.
  public func begin(_ entry: DiffEntry) throws(DiffError) {
    precondition(self.entry == nil, "begin before end")
    try check(entry)
    previousName = entry.name
    self.entry = entry
    self.entry?.pages = [:]
    stream = .changes
    pageEnd = 0
  }

  /// Goes on to another stream of a `reshape`.
  public func begin(_ stream: DiffStream) throws(DiffError) {
    guard let entry, entry.operation.streams.contains(stream),
      stream.rawValue > self.stream.rawValue
    else { throw DiffError(.usage, "streams must be written in order", tensor: entry?.name) }
    try flush()
    self.stream = stream
    pageEnd = 0
  }

  /// Adds changes at positions `start + offsets[i]`, which must ascend, also from one call to the
  /// next.
  ///
  /// - Parameter values: little-endian, `entry.valueWidth` bytes for each offset.
  /// - Throws: `usage` if positions do not ascend or leave the tensor.
  public func append(
    at start: UInt64, _ offsets: Span<UInt32>, _ values: Span<UInt8>
  ) throws(DiffError) {
    guard let entry else { preconditionFailure("append before begin") }
    let width = entry.valueWidth
    precondition(values.count == offsets.count * width)
    guard !offsets.isEmpty else { return }
    let disorder = DiffError(
      .usage, "positions out of order or outside of the tensor", tensor: entry.name)
    let count = entry.grid(of: stream).count
    guard start < count, UInt64(offsets[offsets.count - 1]) < count - start else { throw disorder }
    var done = 0
    while done < offsets.count {
      var room = Layout.pageCapacity - batch[filling].offsets.count
      let first = start + UInt64(offsets[done])
      if room == 0 || !batch[filling].reaches(first) {
        try nextPage()
        room = Layout.pageCapacity
      }
      if batch[filling].offsets.isEmpty {
        guard first >= pageEnd else { throw disorder }
        batch[filling].start = first
      }
      let end = min(offsets.count, done + room)
      guard
        let taken = batch[filling].append(
          at: start, offsets.extracting(done..<end),
          values.extracting(done * width..<end * width), width: width)
      else { throw disorder }
      done += taken
      pageEnd = batch[filling].start + batch[filling].span
    }
  }

  /// Ends the entry, adding what is known of it only now.
  public func end(
    base: Fingerprint? = nil, result: Fingerprint? = nil, old: Fingerprint? = nil
  ) throws(DiffError) {
    try flush()
    guard var entry else { preconditionFailure("end before begin") }
    entry.base = base ?? entry.base
    entry.result = result ?? entry.result
    entry.old = old ?? entry.old
    for stream in entry.operation.streams where entry.isDense(stream) {
      let stored = entry.pages[stream, default: []].reduce(0) { $0 + UInt64($1.count) }
      guard stored == entry.grid(of: stream).count else {
        throw DiffError(.usage, "a whole tensor with elements left out", tensor: entry.name)
      }
    }
    guard entry.flags & ~entry.operation.code.allowedFlags == 0 else {
      throw DiffError(
        .usage, "'\(entry.operation.name)' does not have these fingerprints", tensor: entry.name)
    }
    index.append(entry: entry)
    entryCount += 1
    self.entry = nil
  }

  /// Writes the index and the footer: the file is complete.
  public func finish() throws(DiffError) {
    precondition(entry == nil, "finish before end")
    var tail: [UInt8] = []
    try tail.append(metadata: metadata)
    tail.append(varint: entryCount)
    tail += index
    tail.append(varint: 0)  // no extensions
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
    if filling == batch.count { try flush() }
  }

  /// Encodes and writes the pages of the batch.
  private func flush() throws(DiffError) {
    guard let entry else { preconditionFailure("flush outside of an entry") }
    let used = filling < batch.count && !batch[filling].offsets.isEmpty ? filling + 1 : filling
    let grid = entry.grid(of: stream)
    let width = entry.valueWidth
    let profile = profile
    try parallelForEach(&batch, count: used) { _, page throws(DiffError) in
      page.encode(grid, valueWidth: width, profile)
    }
    for number in 0..<used {
      // Field by field: a copy of the page would make `removeAll` allocate its room anew.
      let encoded = batch[number].encoded
      try sink.write(encoded.span)
      let info = PageInfo(
        start: batch[number].start, span: batch[number].span, count: batch[number].offsets.count,
        offset: offset, storedSize: UInt64(encoded.count),
        checksum: XXH3.hash64(encoded.span))
      self.entry?.pages[stream, default: []].append(info)
      offset += info.storedSize
      batch[number].removeAll()
    }
    filling = 0
  }

  private func check(_ entry: DiffEntry) throws(DiffError) {
    func refuse(_ message: String) -> DiffError { DiffError(.usage, message, tensor: entry.name) }
    guard (1...Layout.nameLength).contains(entry.name.utf8.count) else {
      throw refuse("a name must have 1 to \(Layout.nameLength) bytes")
    }
    if let previousName, !previousName.utf8.lexicographicallyPrecedes(entry.name.utf8) {
      throw refuse("entries must be written in ascending order of names")
    }
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
