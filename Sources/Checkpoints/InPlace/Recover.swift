import SystemSupport
import TensorCore

extension CheckpointFile {
  /// Takes back a change in place that was interrupted. May itself be interrupted, and run again.
  ///
  /// - Parameters:
  ///   - path: the checkpoint: a file, or a folder or index of several.
  ///   - forced: whether bytes are restored even where neither old nor new ones are found.
  /// - Throws: `locked` if the change is still going on; `changed` if a file is not the one that was
  ///   being changed; `malformed` if the journal is damaged; `io`.
  /// - Complexity: O(changes).
  public static func recover(_ path: String, forced: Bool = false) throws(DiffError)
    -> RecoverOutcome
  {
    var restored = 0
    for journal in try journals(of: path) {
      let reader = try JournalReader(journal)
      let folder = OutputFile.split(journal).folder
      var files: [File] = []
      for (name, size) in reader.files {
        let file = try File("\(folder)/\(name)", writable: true)
        try file.lock(.exclusive)
        guard try file.size == size else { throw notTheFile(file.path, journal) }
        files.append(file)
      }
      // The change may have come to its end before the locks were free.
      guard try reader.isThere else { continue }
      try reader.check()
      if !forced, try !reader.fits(files) {
        throw notTheFile(reader.checkpoint, journal)
      }
      try Interruption.deferred { () throws(DiffError) in
        try reader.write(.old, to: files)
        try File.remove(journal)
      }
      try OutputFile.syncFolder(of: journal)
      restored += files.count
    }
    return restored == 0 ? .nothingToDo : .restored(files: restored)
  }
}

/// The journals of a checkpoint.
private func journals(of path: String) throws(DiffError) -> [String] {
  guard Folder.exists(path) else {
    guard File.exists(path) else { throw DiffError(.notFound, "there is no such file", path: path) }
    return try Journal.pending(for: path).map { [$0] } ?? []
  }
  return try Folder.names(path).filter { $0.hasSuffix(Journal.suffix) }.map { "\(path)/\($0)" }
}

private func notTheFile(_ path: String, _ journal: String) -> DiffError {
  DiffError(
    .changed,
    "is not the file that was being changed; if it came in its place, remove '\(journal)'",
    path: path)
}
