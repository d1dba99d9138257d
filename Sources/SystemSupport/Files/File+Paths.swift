import Platform
import TensorCore

extension File {
  /// Returns whether two paths lead to the same existing file.
  package static func areSame(_ one: String, _ other: String) -> Bool {
    var first = stat()
    var second = stat()
    guard unsafe stat(one, &first) == 0, unsafe stat(other, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  /// Returns whether a path leads to the file or folder that is open as a descriptor.
  static func isSame(_ descriptor: Int32, as path: String) -> Bool {
    var first = stat()
    var second = stat()
    guard unsafe fstat(descriptor, &first) == 0, unsafe stat(path, &second) == 0 else {
      return false
    }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }

  /// Returns whether another open file is the same file.
  package func isSame(as other: File) throws(DiffError) -> Bool {
    let (one, two) = (try status(), try other.status())
    return one.st_dev == two.st_dev && one.st_ino == two.st_ino
  }

  /// Returns the path without symbolic links, or nil if it does not exist.
  package static func realPath(_ path: String) -> String? {
    guard let real = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(real) }
    return unsafe String(cString: real)
  }

  /// Returns whether a path exists, even as a dangling symbolic link.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0
  }

  /// Returns whether there is a regular file at `path`, or a link to one.
  package static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  /// Returns whether a path is a symbolic link.
  package static func isLink(_ path: String) -> Bool {
    var status = stat()
    return unsafe lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  /// What a symbolic link says, or nil if it is none.
  package static func linkText(_ path: String) -> [UInt8]? {
    var bytes = [CChar](repeating: 0, count: 4096)
    let count = unsafe readlink(path, &bytes, bytes.count)
    return count < 0 ? nil : bytes.prefix(count).map(UInt8.init(bitPattern:))
  }

  /// Returns a path without trailing slashes; `/` stays.
  package static func withoutFinalSlashes(_ path: String) -> String {
    var path = path
    while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
    return path
  }

  /// Sets the modification time of a file or folder to the current time, if it exists.
  package static func touch(_ path: String) {
    _ = unsafe utimensat(AT_FDCWD, path, nil, 0)
  }

  /// Gives a file another name, in place of a file that has it.
  package static func rename(_ path: String, to other: String) throws(DiffError) {
    guard unsafe Platform.rename(path, other) == 0 else {
      throw .system("cannot rename to", other)
    }
  }

  /// Removes a file.
  package static func remove(_ path: String) throws(DiffError) {
    guard unsafe unlink(path) == 0 else { throw .system("cannot remove", path) }
  }
}
