import SystemSupport
import TensorCore

/// The redo journal of a change in place: a file next to the checkpoint that exists from before the
/// first byte changes until after the last one is durable. It holds the new bytes, so an
/// interrupted change can be completed from it any number of times.
///
/// It is renamed to its path once complete, so it is either complete or absent. Numbers are
/// little-endian:
///
///     signature     8 bytes
///     version       u32, 2 or 3
///     files         u32; for each: u32 length of its name, the name, u64 size of the file
///     records       u32 file, u32 length of the runs, the runs (see `JournalRun`)
///     end           u32 and u32: all bits set, no bits set
///     checksum      XXH3-128 of everything before it
///
/// It also holds samples of the old bytes, by which the file it belongs to is recognized without
/// the diff. Journals of version 1, which hold all old bytes, revert the change. One of version 3 has
/// no records: the files are complete, beside the old ones, and wait to be renamed.
package enum Journal {
  /// The suffix of a journal's name; the rest is the name of the checkpoint's file or of the
  /// folder's index.
  package static let suffix = ".diffkit-journal"

  static let signature: [UInt8] = [0x89] + Array("DKJ\r\n".utf8) + [0x1A, 0x0A]
  static let version: UInt32 = 2
  static let undoVersion: UInt32 = 1
  static let renamingVersion: UInt32 = 3
  /// The suffix of a new file that waits to replace the one of the same name without it.
  static let newSuffix = ".diffkit-new"
  static let end = UInt32.max
  /// The maximum number of bytes of a record's runs; a record holds one block of a tensor.
  static let maximumRecord = 64 << 20

  /// The path of the journal of a checkpoint whose file or index is at `path`.
  static func path(of path: String) -> String { path + suffix }

  /// The path of the journal of an interrupted change of a file, or nil.
  static func pending(for path: String) throws(DiffError) -> String? {
    let real = File.realPath(path) ?? path
    if File.exists(Self.path(of: real)) { return Self.path(of: real) }
    // The file may be one of several that were changed through one journal of their index. A
    // journal named after a checkpoint's file belongs to that file alone.
    let (folder, name) = OutputFile.split(real)
    for journal in (try? Folder.names(folder)) ?? [] where journal.hasSuffix(suffix) {
      guard CheckpointFormat(suffixOf: String(journal.dropLast(suffix.count))) == nil else {
        continue
      }
      let reader: JournalReader
      do throws(DiffError) { reader = try JournalReader("\(folder)/\(journal)") } catch {
        // The change of the other files may have just ended.
        if error.code == .notFound { continue }
        throw error
      }
      if reader.files.contains(where: { $0.name == name }) { return reader.path }
    }
    return nil
  }

  /// Removes the new files that wait to replace files, for a change that was not committed.
  static func removeNewFiles(of files: [String]) {
    for file in files { try? File.remove(file + newSuffix) }
  }

  /// Refuses a file whose change in place was interrupted.
  package static func refuseInterrupted(_ path: String) throws(DiffError) {
    guard let journal = try pending(for: path) else { return }
    throw DiffError(
      .interrupted,
      "a change in place was interrupted (\(OutputFile.split(journal).name) exists)",
      path: path, remedy: .recover(path))
  }
  /// Refuses an output that would replace a file whose change is running or was interrupted.
  package static func refuseOutput(_ path: String) throws(DiffError) {
    guard try pending(for: path) != nil else { return }
    // A running change holds a lock, and removes the journal before it releases the lock.
    let file = try? File(path)
    try file?.lock(.shared)
    try refuseInterrupted(path)
  }
}

extension DiffError {
  /// The error of a change in place that `recover` can complete.
  static func unfinished(_ journal: String, _ cause: DiffError) -> DiffError {
    DiffError(
      .interrupted, "the change in place was not completed: \(cause.message)", path: cause.path,
      remedy: .recover(String(journal.dropLast(Journal.suffix.count))), cause: cause)
  }

  /// The error of a change in place of more than elements.
  static func notInPlace(_ name: TensorName) -> DiffError {
    DiffError(.unsupported, "cannot be changed in place", tensor: name)
  }
}
