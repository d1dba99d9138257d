import Platform
import TensorCore

/// A folder that appears under its name only when it is complete and durable. Until then it is a
/// hidden one beside its destination, which is removed, with what is in it, when the object goes
/// away uncommitted.
/// What a process leaves that is killed is removed by the next one: see `HiddenFiles`.
package final class OutputFolder: Sendable {
  /// Where the folder will appear.
  package let destination: String
  private let temporary: String
  /// The temporary folder, open and locked.
  private let descriptor: Int32

  /// Prepares a folder.
  ///
  /// - Throws: `exists` if there is something of that name: a folder is not replaced.
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
    // After a commit there is nothing of that name.
    Folder.remove(temporary)
    Interruption.remove(temporary: temporary)
    close(descriptor)
  }

  /// Where a file of the folder is to be made.
  package func place(_ name: String) -> String { "\(temporary)/\(name)" }

  /// Copies a regular file into the folder, or a folder with what is in it; leaves out whatever
  /// else is at `path`, and links to folders, which may lead anywhere.
  package func copy(_ path: String, as name: String) throws(DiffError) {
    // The folder itself, if it is being made inside of what is copied.
    guard !File.areSame(path, temporary) else { return }
    if Folder.exists(path) {
      guard !File.isLink(path) else { return }
      guard unsafe mkdir(place(name), 0o777) == 0 else {
        throw .system("cannot create", place(name))
      }
      for inner in try Folder.names(path) { try copy("\(path)/\(inner)", as: "\(name)/\(inner)") }
      return
    }
    var status = stat()
    guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
    let source = try File(path)
    let copy = try OutputFile(place(name), overwriting: false, permissionsOf: source)
    try copy.file.resize(to: source.size)
    try source.copy(0..<source.size, to: copy.file)
    try copy.commit()
  }

  /// Writes a file of the folder.
  package func write(_ bytes: [UInt8], as name: String) throws(DiffError) {
    let output = try OutputFile(place(name), overwriting: false)
    try output.file.write(bytes.span, at: 0)
    try output.commit()
  }

  /// Gives the folder its name. Its files have been committed.
  package func commit() throws(DiffError) {
    // An empty folder of that name would be replaced, which harms nobody.
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
