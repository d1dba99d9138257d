import Platform
import SystemSupport
import TensorCore

/// A journal that has its name, and so is complete.
struct JournalReader {
  let path: String
  /// The files that it is about, in its own folder, and their sizes.
  let files: [(name: String, size: UInt64)]
  /// Whether it holds the old bytes, to take the change back, and not the new ones.
  let isUndo: Bool
  private let file: File
  private let batches: Range<UInt64>

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
      let version: UInt32 = start.littleEndian(at: 8)
      isUndo = version == Journal.undoVersion
      guard isUndo || version == Journal.version else {
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

  /// Whether it is of one file that stands beside it, not of those that an index names.
  var isOfOneFile: Bool { files.count == 1 && !checkpoint.hasSuffix(".json") }

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

  /// Refuses files that are not those that were being changed: where old bytes are known, each
  /// byte is the old or the new one.
  ///
  /// - Throws: `changed`.
  func requireFit(_ files: [File]) throws(DiffError) {
    try forEachBatch { number, runs throws(DiffError) in
      for run in runs where try !run.fits(files[number]) {
        throw notTheFile(files[number])
      }
    }
  }

  func notTheFile(_ file: File) -> DiffError {
    DiffError(
      .changed,
      "is not the file that was being changed; if it came in its place, remove '\(path)'",
      path: file.path)
  }

  /// Writes the bytes of all runs, and makes them durable.
  func write(to files: [File]) throws(DiffError) {
    try forEachBatch { number, runs throws(DiffError) in
      for run in runs { try run.write(to: files[number]) }
      let ranges = runs.map(\.range)
      guard let start = ranges.map(\.lowerBound).min(), let end = ranges.map(\.upperBound).max()
      else { return }
      files[number].beginWriting(start..<end)
    }
    for file in files { try file.sync() }
  }

  /// Bytes of batches that are worked on at a time.
  private static let windowSize = 8 << 20

  /// Calls `body` with the file and the runs of each batch, on all cores. No two batches concern
  /// the same bytes.
  private func forEachBatch(
    _ body: @Sendable (Int, [JournalRun]) throws(DiffError) -> Void
  ) throws(DiffError) {
    var at = batches.lowerBound
    while at < batches.upperBound {
      var window: [(file: Int, bytes: [UInt8])] = []
      let start = at
      while at < batches.upperBound, at - start < Self.windowSize {
        let header = try file.bytes(at: at, count: 8)
        let number: UInt32 = header.littleEndian(at: 0)
        let length: UInt32 = header.littleEndian(at: 4)
        guard number < UInt32(files.count), length <= Journal.maximumBatch else {
          throw Self.damaged(path)
        }
        window.append((Int(number), try file.bytes(at: at + 8, count: Int(length))))
        at += 8 + UInt64(length)
      }
      let batches = window
      try parallelFor(batches.count) { index throws(DiffError) in
        let (number, bytes) = batches[index]
        try body(number, runs(of: bytes, fileSize: files[number].size))
      }
    }
  }

  /// Takes a batch apart.
  private func runs(of batch: [UInt8], fileSize: UInt64) throws(DiffError) -> [JournalRun] {
    var runs: [JournalRun] = []
    var rest = batch.indices
    while !rest.isEmpty {
      guard let run = isUndo ? JournalRun(undoing: batch, &rest) : JournalRun(batch, &rest),
        run.offset <= fileSize, UInt64(run.count * run.width) <= fileSize - run.offset
      else { throw Self.damaged(path) }
      runs.append(run)
    }
    return runs
  }

  private static func damaged(_ path: String, _ cause: DiffError? = nil) -> DiffError {
    DiffError(
      .malformed,
      "a damaged journal; the checkpoint beside it may be changed in part: restore that from a "
        + "copy, then remove the journal", path: path, cause: cause)
  }
}
