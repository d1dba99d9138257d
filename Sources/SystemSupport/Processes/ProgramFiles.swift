import CLinux
import Platform

/// The location of this program, and its environment.
package enum ProgramFiles {
  /// The folders of the running program and of the library or test bundle that contains this code,
  /// in this order, without duplicates.
  package static var folders: [String] {
    var folders: [String] = []
    for path in [programPath, imagePath].compactMap({ $0 }) {
      var folder = OutputFile.split(path).folder
      // A test bundle is next to the other products.
      if folder.hasSuffix(".xctest/Contents/MacOS") {
        for _ in 0..<3 { folder = OutputFile.split(folder).folder }
      }
      if !folders.contains(folder) { folders.append(folder) }
    }
    return folders
  }

  private static var programPath: String? {
    #if os(Linux)
    let path = unsafe realpath("/proc/self/exe", nil) ?? realpath(dk_program_path(), nil)
    #else
    var size: UInt32 = 4096
    var name = [CChar](repeating: 0, count: Int(size))
    guard unsafe _NSGetExecutablePath(&name, &size) == 0 else { return nil }
    let path = unsafe realpath(name, nil)
    #endif
    guard let path = unsafe path else { return nil }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// The file that this code was loaded from.
  private static var imagePath: String? {
    guard let name = unsafe dk_image_path(), let path = unsafe realpath(name, nil)
    else { return nil }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// Returns whether there is a file at `path` that this process may run.
  package static func isExecutable(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      && access(path, X_OK) == 0
  }

  package static func environmentVariable(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Returns the variables of the environment, as `NAME=VALUE`, that satisfy a condition.
  package static func environment(_ isIncluded: (String) -> Bool) -> [String] {
    var variables: [String] = []
    var next = unsafe environ
    while let variable = unsafe next.pointee {
      let text = unsafe String(cString: variable)
      if isIncluded(text) { variables.append(text) }
      unsafe next += 1
    }
    return variables
  }
}
