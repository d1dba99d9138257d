import SystemSupport
import TensorCore

/// The redo journal of a change in place: a file beside the checkpoint, there from before the first
/// byte changes until after the last one is durable. It holds the new bytes, so the change can be
/// completed from it, as often as that is interrupted.
///
/// It gets its name when it is complete, so it is there whole or not at all. Numbers are
/// little-endian:
///
///     signature     8 bytes
///     version       u32, 2
///     files         u32; for each: u32 length of its name, the name, u64 size of the file
///     batches       u32 file, u32 length of the runs, the runs (see `JournalRun`)
///     end           u32 and u32, all bits set and none
///     checksum      XXH3-128 of all before it
///
/// With some of the old bytes there too it tells, without the diff, whether a file is the one it
/// belongs to. Journals of version 1, which hold all old bytes, take the change back.
package enum Journal {
  /// What the name of a journal ends with; before it stands that of the checkpoint's file or of a
  /// folder's index.
  package static let suffix = ".diffkit-journal"

  static let signature: [UInt8] = [0x89] + Array("DKJ\r\n".utf8) + [0x1A, 0x0A]
  static let version: UInt32 = 2
  static let undoVersion: UInt32 = 1
  static let end = UInt32.max
  /// No batch is as long: one block of a tensor, in runs.
  static let maximumBatch = 64 << 20

  /// The name of the journal of a checkpoint whose file or index is at `path`.
  static func path(of path: String) -> String { path + suffix }

  /// The journal that an interrupted change of a file left behind, or nil.
  static func pending(for path: String) throws(DiffError) -> String? {
    let real = File.realPath(path) ?? path
    if File.exists(Self.path(of: real)) { return Self.path(of: real) }
    // Perhaps it is one of several that were changed together, behind a journal of their index:
    // what has the name of a checkpoint's file itself is a journal of that file alone.
    let (folder, name) = OutputFile.split(real)
    for journal in (try? Folder.names(folder)) ?? [] where journal.hasSuffix(suffix) {
      guard CheckpointFormat(suffixOf: String(journal.dropLast(suffix.count))) == nil else {
        continue
      }
      let reader: JournalReader
      do throws(DiffError) { reader = try JournalReader("\(folder)/\(journal)") } catch {
        // The change of other files may just have come to its end.
        if error.code == .notFound { continue }
        throw error
      }
      if reader.files.contains(where: { $0.name == name }) { return reader.path }
    }
    return nil
  }

  /// Refuses a file that an interrupted change has left half done.
  package static func refuseInterrupted(_ path: String) throws(DiffError) {
    guard let journal = try pending(for: path) else { return }
    throw DiffError(
      .interrupted,
      "a change in place was interrupted (\(OutputFile.split(journal).name) is there)",
      path: path, remedy: .recover(path))
  }
  /// Refuses an output in the place of a file that is being changed, or was left half done.
  package static func refuseOutput(_ path: String) throws(DiffError) {
    guard try pending(for: path) != nil else { return }
    // Whoever is at work holds a lock, and the journal goes before that does.
    let file = try? File(path)
    try file?.lock(.shared)
    try refuseInterrupted(path)
  }
}
