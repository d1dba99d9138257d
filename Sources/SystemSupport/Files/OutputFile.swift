import Platform
import TensorCore

/// A file that appears at its destination only when it is complete and durable.
///
/// Until `commit` the contents are in an unnamed file (on Linux, if the file system supports
/// `O_TMPFILE`), which leaves no trace even after `kill -9`, or else in a hidden file next to the
/// destination, which is removed when the object is released uncommitted, or by the next process if
/// this one is killed (see `HiddenFiles`).
package final class OutputFile {
  /// The path at which the file will appear.
  package private(set) var destination: String
  /// The contents, which the caller writes.
  package let file: File
  private var temporaryPath: String?
  private let overwriting: Bool
  /// The permissions that the file has or, while it is being written, will have.
  package let permissions: mode_t

  /// Prepares a file that will appear at `destination`.
  ///
  /// - Parameters:
  ///   - overwriting: whether `commit` may replace an existing file.
  ///   - permissions: the permissions of the new file, restricted by the process's umask as with
  ///     `cp`; by default all that the umask allows. A replaced file keeps its permissions.
  /// - Throws: `exists` if the file exists and must not be replaced, `io` otherwise.
  package init(
    _ destination: String, overwriting: Bool, permissions: mode_t? = nil
  ) throws(DiffError) {
    guard destination != "-" else {
      throw DiffError(
        .usage, "cannot be written to standard output; name a file (./- for a file of that name)",
        path: "-")
    }
    guard !destination.hasSuffix("/") || Folder.exists(destination) else {
      throw DiffError(
        .usage, "names a folder, but the output is a file; add the name of the file",
        path: destination)
    }
    self.destination = destination
    self.overwriting = overwriting
    var status = stat()
    let replaces = unsafe lstat(destination, &status) == 0
    if replaces {
      if status.st_mode & S_IFMT == S_IFDIR {
        throw DiffError(
          overwriting ? .io : .exists,
          "is a folder, but the output is a file; add the name of the file", path: destination)
      }
      guard overwriting else { throw .outputExists(destination) }
      guard status.st_mode & S_IFMT == S_IFREG else {
        throw DiffError(.io, "not a regular file, so not replaced", path: destination)
      }
    }
    let unnamed = File(unnamedBeside: destination)
    if unnamed == nil || overwriting { HiddenFiles.removeLeftovers(of: destination) }
    if let unnamed {
      file = unnamed
      // It gets a hidden name for a moment if it takes the place of another file.
      _ = HiddenFiles.lock(file.descriptor)
    } else {
      (file, temporaryPath) = try Self.hidden(destination)
    }
    let allowed = try file.status().st_mode
    if replaces {
      fchmod(file.descriptor, status.st_mode & 0o777)
    } else if let permissions {
      // Execute permission follows read permission: the file was created without it, so the mask is
      // not known for it.
      fchmod(file.descriptor, permissions & (allowed | (allowed & 0o444) >> 2) & 0o777)
    }
    self.permissions = try file.status().st_mode & 0o777
  }

  /// Makes a hidden file, locked, beside a destination.
  private static func hidden(_ destination: String) throws(DiffError) -> (File, path: String) {
    while true {
      let path = hiddenName(destination)
      Interruption.add(temporary: path)
      do {
        // The caller knows the destination, not the name beside it.
        let file = try File(creating: path, named: destination)
        // Another process that cleans up may have been here before the lock.
        if HiddenFiles.lock(file.descriptor), File.isSame(file.descriptor, as: path) {
          return (file, path)
        }
      } catch {
        Interruption.remove(temporary: path)
        throw error
      }
      Interruption.remove(temporary: path)
    }
  }

  /// Prepares a file with the permissions of another one.
  package convenience init(
    _ destination: String, overwriting: Bool, permissionsOf source: File
  ) throws(DiffError) {
    try self.init(
      destination, overwriting: overwriting, permissions: source.status().st_mode & 0o777)
  }

  deinit {
    guard let temporaryPath else { return }
    unsafe unlink(temporaryPath)
    Interruption.remove(temporary: temporaryPath)
  }

  /// Writes a whole file, which appears when it is complete and durable.
  package static func write(
    _ bytes: [UInt8], to destination: String, overwriting: Bool
  ) throws(DiffError) {
    let output = try OutputFile(destination, overwriting: overwriting)
    try output.file.write(bytes.span, at: 0)
    try output.commit()
  }

  /// Changes the name under which the file will appear in the same folder, for names that depend on
  /// the contents.
  package func appear(as name: String) {
    precondition(!overwriting)
    destination = "\(OutputFile.split(destination).folder)/\(name)"
  }

  /// Makes the contents durable and moves them to the destination atomically: if interrupted, the
  /// destination is the new file, or the old one or none.
  package func commit() throws(DiffError) {
    try file.sync()
    if temporaryPath == nil && overwriting {
      // An unnamed file cannot replace another one, a named file can.
      let path = OutputFile.hiddenName(destination)
      Interruption.add(temporary: path)
      temporaryPath = path
      try link(to: path)
    }
    if let path = temporaryPath {
      try overwriting ? File.rename(path, to: destination) : moveExclusively(path)
      Interruption.remove(temporary: path)
      temporaryPath = nil
    } else {
      try link(to: destination)
    }
    HiddenFiles.unlock(file.descriptor)
    do throws(DiffError) { try OutputFile.syncFolder(of: destination) } catch {
      withdraw()
      throw error
    }
  }

  /// Removes the committed file from its destination, unless it replaced another file: a failed
  /// operation leaves no output.
  package func withdraw() { if !overwriting { unsafe unlink(destination) } }

  private func moveExclusively(_ path: String) throws(DiffError) {
    guard unsafe linkat(AT_FDCWD, path, AT_FDCWD, destination, 0) != 0 else {
      unsafe unlink(path)
      return
    }
    let error = DiffError.system("cannot create", destination)
    let hasNoLinks = [EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(error.errno)
    guard !File.exists(destination) else { throw .outputExists(destination) }
    // Some file systems, such as FAT, have no hard links; there the check and the move are
    // separate.
    guard hasNoLinks else { throw error }
    try File.rename(path, to: destination)
  }

  private func link(to path: String) throws(DiffError) {
    #if os(Linux)
    let contents = "/proc/self/fd/\(file.descriptor)"
    guard unsafe linkat(AT_FDCWD, contents, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 else {
      if errno == EEXIST { throw .outputExists(destination) }
      throw .system("cannot create", destination)
    }
    #endif
  }

  /// Returns a unique hidden name in the folder of the destination.
  package static func hiddenName(_ destination: String) -> String {
    let (folder, name) = split(destination)
    return "\(folder)/\(hiddenStart(name))\(UInt32.random(in: .min ... .max))\(hiddenEnd)"
  }

  /// Returns whether a file of this name may be the hidden one of a destination.
  static func isHiddenName(_ name: String, of destination: String) -> Bool {
    let start = hiddenStart(split(destination).name)
    guard name.hasPrefix(start), name.hasSuffix(hiddenEnd) else { return false }
    let number = name.utf8.dropFirst(start.utf8.count).dropLast(hiddenEnd.utf8.count)
    return UInt32(String(decoding: number, as: UTF8.self)) != nil
  }

  private static func hiddenStart(_ name: String) -> String {
    // Names are limited in bytes, not in characters; one that is cut in two is repaired.
    ".\(String(decoding: name.utf8.prefix(200), as: UTF8.self))."
  }

  private static let hiddenEnd = ".diffkit-tmp"

  /// The folder and the last component of a path.
  package static func split(_ path: String) -> (folder: String, name: String) {
    guard let slash = path.lastIndex(of: "/") else { return (".", path) }
    let folder = slash == path.startIndex ? "/" : String(path[..<slash])
    return (folder, String(path[path.index(after: slash)...]))
  }

  /// Returns whether two paths name the same entry of a folder, whether or not it exists.
  package static func areSamePath(_ one: String, _ other: String) -> Bool {
    let (first, second) = (split(one), split(other))
    return first.name == second.name && File.areSame(first.folder, second.folder)
  }

  /// Makes the entries of a path's folder durable.
  package static func syncFolder(of path: String) throws(DiffError) {
    let folder = split(path).folder
    let descriptor = File.retrying { unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    guard descriptor >= 0 else { throw .system("cannot open", folder) }
    defer { close(descriptor) }
    // Some file systems cannot sync a folder and say EINVAL; there is nothing better to do there.
    guard File.retrying({ fsync(descriptor) }) == 0 || errno == EINVAL else {
      throw .system("cannot flush", folder)
    }
  }
}

extension File {
  /// Creates an unnamed file on the file system of `path`; nil if it does not support them.
  fileprivate convenience init?(unnamedBeside path: String) {
    #if os(Linux)
    let folder = OutputFile.split(path).folder
    // glibc's O_TMPFILE is a compound macro that Swift does not import.
    let unnamed: Int32 = 0o20_000_000 | O_DIRECTORY
    let descriptor = File.retrying { unsafe open(folder, unnamed | O_RDWR | O_CLOEXEC, 0o666) }
    guard descriptor >= 0 else { return nil }
    // Without /proc the file could not be linked to a name.
    guard unsafe access("/proc/self/fd/\(descriptor)", R_OK) == 0 else {
      close(descriptor)
      return nil
    }
    self.init(adopting: descriptor, path: path)
    #else
    return nil
    #endif
  }
}

extension DiffError {
  fileprivate static func outputExists(_ path: String) -> DiffError {
    DiffError(.exists, "exists already", path: path, remedy: .overwrite)
  }
}
