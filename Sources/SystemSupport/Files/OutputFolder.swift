import Platform
import TensorCore

/// A folder that appears at its destination only when it is complete and durable. Until then it is
/// a hidden folder next to the destination, which is removed with its contents when the object is
/// released uncommitted, or by the next process if this one is killed (see `HiddenFiles`).
package final class OutputFolder: Sendable {
  /// The path at which the folder will appear.
  package let destination: String
  private let temporary: String
  /// The temporary folder, open and locked.
  private let descriptor: Int32

  /// Prepares a folder.
  ///
  /// - Throws: `exists` if the path exists: a folder is not replaced.
  package init(_ destination: String) throws(DiffError) {
    let path = File.withoutFinalSlashes(destination)
    self.destination = path
    var status = stat()
    guard unsafe lstat(path, &status) != 0 else { throw .folderExists(path) }
    HiddenFiles.removeLeftovers(of: path)
    while true {
      let made = OutputFile.hiddenName(path)
      Interruption.add(temporary: made)
      guard unsafe mkdir(made, 0o777) == 0 else {
        let error = DiffError.system("cannot create", path)
        Interruption.remove(temporary: made)
        throw error
      }
      if let locked = HiddenFiles.lock(newFolder: made) {
        (temporary, descriptor) = (made, locked)
        return
      }
      unsafe rmdir(made)
      Interruption.remove(temporary: made)
    }
  }

  deinit {
    // After a commit this path no longer exists.
    Folder.remove(temporary)
    Interruption.remove(temporary: temporary)
    close(descriptor)
  }

  /// Returns the path at which a file of the folder is to be created.
  package func temporaryPath(of name: String) -> String { "\(temporary)/\(name)" }

  /// Copies a regular file, or a folder with its contents, into the folder; skips other kinds of
  /// files, and links to folders, which may lead anywhere.
  package func copy(_ path: String, as name: String) throws(DiffError) {
    // Skips this folder itself if it is inside of the copied one.
    guard !File.areSame(path, temporary) else { return }
    if Folder.exists(path) {
      guard !File.isLink(path) else { return }
      guard unsafe mkdir(temporaryPath(of: name), 0o777) == 0 else {
        throw .system("cannot create", temporaryPath(of: name))
      }
      for inner in try Folder.names(path) { try copy("\(path)/\(inner)", as: "\(name)/\(inner)") }
      return
    }
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    let source = try File(path)
    let copy = try OutputFile(temporaryPath(of: name), overwriting: false, permissionsOf: source)
    try copy.file.resize(to: source.size)
    try source.copy(0..<source.size, to: copy.file)
    try copy.commit()
  }

  /// Writes a file of the folder.
  package func write(_ bytes: [UInt8], as name: String) throws(DiffError) {
    try OutputFile.write(bytes, to: temporaryPath(of: name), overwriting: false)
  }

  /// Moves the folder to its destination. Its files must have been committed.
  package func commit() throws(DiffError) {
    // An empty folder at the destination is replaced, which loses nothing.
    guard unsafe rename(temporary, destination) == 0 else {
      let isTaken = [ENOTEMPTY, EEXIST, ENOTDIR].contains(errno)
      throw isTaken ? .folderExists(destination) : .system("cannot rename to", destination)
    }
    try OutputFile.syncFolder(of: destination)
  }
}

extension DiffError {
  fileprivate static func folderExists(_ path: String) -> DiffError {
    DiffError(
      .exists, "exists already, and a folder is not replaced; choose another name", path: path)
  }
}
