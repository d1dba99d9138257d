import Platform
import SystemSupport
import TensorCore

/// A journal at its final path, which is therefore complete.
struct JournalReader {
  let path: String
  /// The names and sizes of the files that it changes, all in its own folder.
  let files: [(name: String, size: UInt64)]
  /// True if it holds the old bytes, to revert the change, and not the new ones.
  let isUndo: Bool
  /// True if it stands for the renaming of new files.
  private let isRenaming: Bool
  private let file: File
  private let records: Range<UInt64>

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
      isRenaming = version == Journal.renamingVersion
      guard isUndo || isRenaming || version == Journal.version else {
        throw DiffError(
          .unsupportedVersion, "a journal of another version of diffkit", path: path)
      }
      let count: UInt32 = start.littleEndian(at: 12)
      for _ in 0..<count {
        let length: UInt32 = try file.bytes(at: at, count: 4).littleEndian(at: 0)
        // File names are shorter.
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
    records = at..<size - 24
  }

  /// The path that it belongs to: a file, or the index of a folder.
  var checkpoint: String { String(path.dropLast(Journal.suffix.count)) }

  /// True if it belongs to a single file and not to the files of an index.
  var isOfOneFile: Bool { files.count == 1 && !checkpoint.hasSuffix(".json") }

  /// True if the journal still exists: an open file may have been removed.
  var isThere: Bool { get throws(DiffError) { try file.status().st_nlink > 0 } }

  /// Verifies the checksum of the journal.
  ///
  /// - Throws: `malformed` if it is damaged.
  /// - Complexity: O(size), in 1 MiB of memory.
  func check() throws(DiffError) {
    var hash = XXH3Stream()
    var at: UInt64 = 0
    let end = records.upperBound + 8
    while at < end {
      let bytes = try file.bytes(at: at, count: Int(min(1 << 20, end - at)))
      hash.update(bytes.span)
      at += UInt64(bytes.count)
    }
    guard try file.bytes(at: end, count: 16) == hash.digest.bytes else {
      throw Self.damaged(path)
    }
  }

  /// Refuses files other than those that were being changed: where old bytes are known, each byte
  /// must be the old or the new one.
  ///
  /// - Throws: `changed`.
  func requireFit(_ files: [File]) throws(DiffError) {
    try forEachRecord { number, runs throws(DiffError) in
      for run in runs where try !run.fits(files[number]) {
        throw notTheFile(files[number])
      }
    }
  }

  func notTheFile(_ file: File) -> DiffError {
    DiffError(
      .changed,
      "is not the file that was being changed; if it replaced that file, remove '\(path)'",
      path: file.path)
  }

  /// Gives the new files the names of the old ones. Those that have them already stay as they are.
  private func renameFiles() throws(DiffError) {
    let folder = OutputFile.split(path).folder
    for (name, size) in files {
      let new = "\(folder)/\(name)\(Journal.newSuffix)"
      guard File.exists(new) else { continue }
      guard try File(new).size == size else { throw Self.damaged(path) }
      try File.rename(new, to: "\(folder)/\(name)")
    }
    try OutputFile.syncFolder(of: path)
  }

  /// Completes the change and removes the journal.
  ///
  /// - Throws: `interrupted` if `recover` has to complete the change.
  func complete(_ files: [File]) throws(DiffError) {
    do throws(DiffError) {
      try write(to: files)
      try File.remove(path)
    } catch { throw .unfinished(path, error) }
    // After a power failure the journal may exist again; to complete the change once more is harmless.
    try? OutputFile.syncFolder(of: path)
  }

  /// Makes the change, and makes it durable: writes the bytes of all runs, or renames the new files.
  private func write(to files: [File]) throws(DiffError) {
    if isRenaming { return try renameFiles() }
    try forEachRecord { number, runs throws(DiffError) in
      for run in runs { try run.write(to: files[number]) }
      let ranges = runs.map(\.range)
      guard let start = ranges.map(\.lowerBound).min(), let end = ranges.map(\.upperBound).max()
      else { return }
      files[number].beginWriting(start..<end)
    }
    for file in files { try file.sync() }
  }

  /// The bytes of records that are processed together.
  private static let windowSize = 8 << 20

  /// Calls `body` with the file index and the runs of each record, on all cores. No two records
  /// change the same bytes.
  private func forEachRecord(
    _ body: @Sendable (Int, [JournalRun]) throws(DiffError) -> Void
  ) throws(DiffError) {
    var at = records.lowerBound
    while at < records.upperBound {
      var window: [(file: Int, bytes: [UInt8])] = []
      let start = at
      while at < records.upperBound, at - start < Self.windowSize {
        let header = try file.bytes(at: at, count: 8)
        let number: UInt32 = header.littleEndian(at: 0)
        let length: UInt32 = header.littleEndian(at: 4)
        guard number < UInt32(files.count), length <= Journal.maximumRecord else {
          throw Self.damaged(path)
        }
        window.append((Int(number), try file.bytes(at: at + 8, count: Int(length))))
        at += 8 + UInt64(length)
      }
      let records = window
      try parallelFor(records.count) { index throws(DiffError) in
        let (number, bytes) = records[index]
        try body(number, runs(of: bytes, fileSize: files[number].size))
      }
    }
  }

  /// Decodes the runs of a record.
  private func runs(of record: [UInt8], fileSize: UInt64) throws(DiffError) -> [JournalRun] {
    var runs: [JournalRun] = []
    var rest = record.indices
    while !rest.isEmpty {
      guard let run = isUndo ? JournalRun(undoing: record, &rest) : JournalRun(record, &rest),
        run.offset <= fileSize, UInt64(run.count * run.width) <= fileSize - run.offset
      else { throw Self.damaged(path) }
      runs.append(run)
    }
    return runs
  }

  private static func damaged(_ path: String, _ cause: DiffError? = nil) -> DiffError {
    DiffError(
      .malformed,
      "a damaged journal; the checkpoint next to it may be partly changed: restore it from a "
        + "copy, then remove the journal", path: path, cause: cause)
  }
}
