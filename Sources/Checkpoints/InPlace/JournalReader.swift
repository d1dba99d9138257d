import SystemSupport
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
      let start = try file.bytes(at: 0, count: 16)
      guard start.starts(with: Journal.signature) else { throw Self.damaged(path) }
      guard start.littleEndian(at: 8) == Journal.version else {
        throw DiffError(
          .unsupportedVersion, "a journal of another version of diffkit", path: path)
      }
      let count: UInt32 = start.littleEndian(at: 12)
      for _ in 0..<count {
        let length: UInt32 = try file.bytes(at: at, count: 4).littleEndian(at: 0)
        // No name of a file is as long.
        guard length <= 4096 else { throw Self.damaged(path) }
        let bytes = try file.bytes(at: at + 4, count: Int(length) + 8)
        guard let name = String(validating: bytes.prefix(Int(length)), as: UTF8.self),
          !name.utf8.contains(UInt8(ascii: "/"))
        else { throw Self.damaged(path) }
        files.append((name, bytes.littleEndian(at: Int(length))))
        at += 4 + UInt64(bytes.count)
      }
      guard size >= at + 24 else { throw Self.damaged(path) }
    } catch { throw error.code == .truncated ? Self.damaged(path, error) : error }
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
      let bytes = try file.bytes(at: at, count: Int(min(1 << 20, end - at)))
      hash.update(bytes.span)
      at += UInt64(bytes.count)
    }
    guard try file.bytes(at: end, count: 16) == hash.digest.bytes else {
      throw Self.damaged(path)
    }
  }

  /// Whether each byte of the spans in `files` is the old or the new one.
  func fits(_ files: [File]) throws(DiffError) -> Bool {
    var fits = true
    try forEachRun { number, place, spans, batch throws(DiffError) in
      guard fits, number < files.count else { return fits = false }
      let found = try files[number].bytes(at: place.lowerBound, count: place.count)
      for span in spans {
        let start = Int(span.offset - place.lowerBound)
        fits =
          fits
          && (0..<span.count).allSatisfy {
            found[start + $0] == batch[span.old + $0] || found[start + $0] == batch[span.new + $0]
          }
      }
    }
    return fits
  }

  /// Writes one version of all spans, and makes it durable.
  func write(_ version: Version, to files: [File]) throws(DiffError) {
    try forEachRun { number, place, spans, batch throws(DiffError) in
      guard number < files.count else { throw Self.damaged(path) }
      // Between the spans stands what stands in the file.
      var bytes = try files[number].bytes(at: place.lowerBound, count: place.count)
      for span in spans {
        let start = Int(span.offset - place.lowerBound)
        let from = version == .old ? span.old : span.new
        bytes.replaceSubrange(start..<start + span.count, with: batch[from..<from + span.count])
      }
      try files[number].write(bytes.span, at: place.lowerBound)
    }
    for file in files { try file.sync() }
  }

  /// Some bytes that change, and where in its batch the old and the new ones stand.
  private struct Change {
    var offset: UInt64
    var count, old, new: Int
  }

  /// Spans with no more between them are read and written together.
  private static let gap: UInt64 = 1 << 12
  private static let maximumRun: UInt64 = 1 << 20

  /// Calls `body` with runs of spans that are close together: the number of the file, the bytes of
  /// the file that the run covers, the spans, and the batch that holds them.
  private func forEachRun(
    _ body: (Int, Range<UInt64>, ArraySlice<Change>, [UInt8]) throws(DiffError) -> Void
  ) throws(DiffError) {
    var at = batches.lowerBound
    while at < batches.upperBound {
      let header = try file.bytes(at: at, count: 8)
      let number: UInt32 = header.littleEndian(at: 0)
      let length: UInt32 = header.littleEndian(at: 4)
      guard number < UInt32(files.count), length <= Journal.maximumBatch else {
        throw Self.damaged(path)
      }
      let batch = try file.bytes(at: at + 8, count: Int(length))
      let spans = try spans(of: batch, fileSize: files[Int(number)].size)
      var first = 0
      while first < spans.count {
        var last = first
        var end = spans[first].offset + UInt64(spans[first].count)
        while last + 1 < spans.count, spans[last + 1].offset >= end,
          spans[last + 1].offset - end <= Self.gap, end - spans[first].offset < Self.maximumRun
        {
          last += 1
          end = spans[last].offset + UInt64(spans[last].count)
        }
        try body(Int(number), spans[first].offset..<end, spans[first...last], batch)
        first = last + 1
      }
      at += 8 + UInt64(batch.count)
    }
  }

  /// Takes a batch apart.
  private func spans(of batch: [UInt8], fileSize: UInt64) throws(DiffError) -> [Change] {
    var spans: [Change] = []
    var next = 0
    while next < batch.count {
      guard batch.count - next >= 12 else { throw Self.damaged(path) }
      let offset: UInt64 = batch.littleEndian(at: next)
      let length: UInt32 = batch.littleEndian(at: next + 8)
      let span = Change(
        offset: offset, count: Int(length), old: next + 12, new: next + 12 + Int(length))
      next = span.new + Int(length)
      guard next <= batch.count, offset <= fileSize, UInt64(length) <= fileSize - offset else {
        throw Self.damaged(path)
      }
      spans.append(span)
    }
    return spans
  }

  private static func damaged(_ path: String, _ cause: DiffError? = nil) -> DiffError {
    DiffError(
      .malformed,
      "a damaged journal; the checkpoint beside it may be changed in part: restore that from a "
        + "copy, then remove the journal", path: path, cause: cause)
  }
}
