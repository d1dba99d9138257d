import Platform
import TensorCore

/// Folders as they are.
package enum Folder {
  /// Whether there is a folder at `path`.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Removes a folder with what is in it, as far as that can be done.
  package static func remove(_ path: String) {
    for name in (try? Folder.names(path)) ?? [] where unsafe unlink("\(path)/\(name)") != 0 {
      remove("\(path)/\(name)")
    }
    unsafe rmdir(path)
  }

  /// The names of what is in a folder, sorted, but for those that are not valid UTF-8.
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
  /// Makes a folder, unless there is one.
  package static func create(_ path: String) throws(DiffError) {
    guard unsafe mkdir(path, 0o777) != 0, !(errno == EEXIST && exists(path)) else { return }
    throw .system("cannot create", path)
  }
}
