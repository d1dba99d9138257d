import Platform
import TensorCore

/// Functions on folders.
package enum Folder {
  /// Returns whether there is a folder at `path`.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Removes a folder and its contents, as far as possible.
  package static func remove(_ path: String) {
    for name in (try? Folder.names(path)) ?? [] where unsafe unlink("\(path)/\(name)") != 0 {
      remove("\(path)/\(name)")
    }
    unsafe rmdir(path)
  }

  /// Returns the names in a folder, sorted, except those that are not valid UTF-8.
  package static func names(_ path: String) throws(DiffError) -> [String] {
    try entries(path).names
  }

  /// The number of names in a folder that are not valid UTF-8.
  package static func unnamedCount(_ path: String) throws(DiffError) -> Int {
    try entries(path).unnamed
  }

  private static func entries(
    _ path: String
  ) throws(DiffError) -> (names: [String], unnamed: Int) {
    guard let folder = unsafe opendir(path) else { throw .system("cannot open", path) }
    defer { unsafe closedir(folder) }
    var names: [String] = []
    var unnamed = 0
    while let entry = unsafe readdir(folder) {
      let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) {
        unsafe String(validating: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard let name else {
        unnamed += 1
        continue
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return (names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }, unnamed)
  }
}

extension Folder {
  /// Creates a folder unless it exists.
  package static func create(_ path: String) throws(DiffError) {
    guard unsafe mkdir(path, 0o777) != 0, !(errno == EEXIST && exists(path)) else { return }
    throw .system("cannot create", path)
  }
}
