import TensorCore

/// A journal that has its name, and so is complete.
struct JournalReader {
  let path: String
  /// The files that it is about, in its own folder, and their sizes.
  let files: [(name: String, size: UInt64)]
  private let file: File
  private let batches: Range<UInt64>

  /// Which of the two versions of a span.
  enum Version { case old, new }

  /// Opens a journal and reads its header.
  ///
  /// - Throws: `malformed` if it is damaged.
  init(_ path: String) throws(DiffError) {
    self.path = path
    file = try File(path)
    let size = try file.size
    var files: [(name: String, size: UInt64)] = []
    var at: UInt64 = 16
    do throws(DiffError) {
      let start = try Self.bytes(of: file, at: 0, 16)
      guard start.starts(with: Journal.signature) else { throw Self.damaged }
      guard start.littleEndian(at: 8) == Journal.version else {
        throw DiffError(.unsupportedVersion, "a journal of another version of diffkit")
      }
      let count: UInt32 = start.littleEndian(at: 12)
      for _ in 0..<count {
        let length: UInt32 = try Self.bytes(of: file, at: at, 4).littleEndian(at: 0)
        // No name of a file is as long.
        guard length <= 4096 else { throw Self.damaged }
        let bytes = try Self.bytes(of: file, at: at + 4, Int(length) + 8)
        guard let name = String(validating: bytes.prefix(Int(length)), as: UTF8.self),
          !name.utf8.contains(UInt8(ascii: "/"))
        else { throw Self.damaged }
        files.append((name, bytes.littleEndian(at: Int(length))))
        at += 4 + UInt64(bytes.count)
      }
      guard size >= at + 24 else { throw Self.damaged }
    } catch { throw (error.code == .truncated ? Self.damaged : error).at(path: path) }
    self.files = files
    batches = at..<size - 24
  }

  /// What it belongs to: a file, or the index of a folder.
  var checkpoint: String { String(path.dropLast(Journal.suffix.count)) }

  /// Whether the journal is still there: a file that is open may have lost its name.
  var isThere: Bool { get throws(DiffError) { try file.status().st_nlink > 0 } }

  /// Checks all of the journal.
  ///
  /// - Throws: `malformed` if it is damaged.
  /// - Complexity: O(size), in memory of a mebibyte.
  func check() throws(DiffError) {
    var hash = XXH3Stream()
    var at: UInt64 = 0
    let end = batches.upperBound + 8
    while at < end {
      let bytes = try Self.bytes(of: file, at: at, Int(min(1 << 20, end - at)))
      hash.update(bytes.span)
      at += UInt64(bytes.count)
    }
    guard try Self.bytes(of: file, at: end, 16) == hash.digest.bytes else {
      throw Self.damaged.at(path: path)
    }
  }

  /// Whether each byte of the spans in `files` is the old or the new one.
  func fits(_ files: [File]) throws(DiffError) -> Bool {
    var fits = true
    var found: [UInt8] = []
    try forEachSpan { number, offset, old, new throws(DiffError) in
      guard fits, number < files.count else { return fits = false }
      found = try Self.bytes(of: files[number], at: offset, old.count)
      fits = found.indices.allSatisfy { found[$0] == old[$0] || found[$0] == new[$0] }
    }
    return fits
  }

  /// Writes one version of all spans, and makes it durable.
  func write(_ version: Version, to files: [File]) throws(DiffError) {
    try forEachSpan { number, offset, old, new throws(DiffError) in
      try files[number].write(version == .old ? old : new, at: offset)
    }
    for file in files { try file.sync() }
  }

  /// Calls `body` with the file, the offset, the old and the new bytes of each span.
  private func forEachSpan(
    _ body: (Int, UInt64, Span<UInt8>, Span<UInt8>) throws(DiffError) -> Void
  ) throws(DiffError) {
    var at = batches.lowerBound
    while at < batches.upperBound {
      let header = try Self.bytes(of: file, at: at, 8)
      let number: UInt32 = header.littleEndian(at: 0)
      let length: UInt32 = header.littleEndian(at: 4)
      guard number < UInt32(files.count), length <= Journal.maximumBatch else {
        throw Self.damaged.at(path: path)
      }
      let batch = try Self.bytes(of: file, at: at + 8, Int(length))
      var next = 0
      while next + 12 <= batch.count {
        let offset: UInt64 = batch.littleEndian(at: next)
        let length: UInt32 = batch.littleEndian(at: next + 8)
        let old = next + 12
        let new = old + Int(length)
        next = new + Int(length)
        guard next <= batch.count else { throw Self.damaged.at(path: path) }
        try body(
          Int(number), offset, batch.span.extracting(old..<new), batch.span.extracting(new..<next))
      }
      at += 8 + UInt64(batch.count)
    }
  }

  private static func bytes(
    of file: File, at offset: UInt64, _ count: Int
  ) throws(DiffError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try file.read(at: offset, into: &span)
    return bytes
  }

  private static let damaged = DiffError(
    .malformed,
    "a damaged journal; the checkpoint beside it may be changed in part: restore that from a "
      + "copy, then remove the journal")
}
