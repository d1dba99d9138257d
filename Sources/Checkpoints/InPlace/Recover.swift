import SystemSupport
import TensorCore

extension CheckpointFile {
  /// Completes an interrupted change in place, or reverts it if the journal was written by diffkit
  /// 1.0. May itself be interrupted and run again.
  ///
  /// - Parameters:
  ///   - path: the checkpoint: a file, or a folder or index of several.
  ///   - forced: whether bytes are written even where the stored ones are neither old nor new.
  /// - Throws: `locked` if the change is still running; `changed` if a file is not the one that was
  ///   being changed; `malformed` if the journal is damaged; `io`.
  /// - Complexity: O(changes).
  public static func recover(_ path: String, forced: Bool = false) throws(DiffError)
    -> RecoverOutcome
  {
    var outcome = RecoverOutcome()
    for journal in try journals(of: path) {
      let reader = try JournalReader(journal)
      let folder = OutputFile.split(journal).folder
      var files: [File] = []
      for (name, size) in reader.files {
        // A single file may have been renamed together with its journal.
        let file = try File(
          reader.isOfOneFile ? reader.checkpoint : "\(folder)/\(name)", writable: true)
        try file.lock(.exclusive)
        guard try file.size == size else { throw reader.notTheFile(file) }
        files.append(file)
      }
      // The change may have ended before the locks were released.
      guard try reader.isThere else { continue }
      try reader.check()
      if !forced { try reader.requireFit(files) }
      try Interruption.deferred { () throws(DiffError) in try reader.complete(files) }
      if reader.isUndo { outcome.restored += files.count } else { outcome.completed += files.count }
    }
    if outcome == RecoverOutcome() {
      let files = try filesOfChange(path)
      // New files without a journal are those of a change that was not committed.
      Journal.removeNewFiles(of: files)
    }
    return outcome
  }
}

/// Returns the files of a checkpoint, or refuses it if its change is still running: its journal is not
/// at its path yet.
private func filesOfChange(_ path: String) throws(DiffError) -> [String] {
  let files =
    Folder.exists(path)
    ? try Folder.names(path).filter { CheckpointFormat(suffixOf: $0) != nil }.map {
      "\(path)/\($0)"
    }
    : [path]
  for file in files { try File(file).lock(.shared) }
  return files
}

/// Returns the paths of the journals of a checkpoint.
private func journals(of path: String) throws(DiffError) -> [String] {
  guard Folder.exists(path) else {
    guard File.exists(path) else { throw DiffError(.notFound, "there is no such file", path: path) }
    return try Journal.pending(for: path).map { [$0] } ?? []
  }
  return try Folder.names(path).filter { $0.hasSuffix(Journal.suffix) }.map { "\(path)/\($0)" }
}
