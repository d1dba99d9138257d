import Platform
import TensorCore

/// Hidden files and folders beside a destination, which are locked as long as a process writes them:
/// what a process leaves that was killed is removed by the next one with the same destination.
enum HiddenFiles {
  /// Opens and locks a folder that this process has just made.
  ///
  /// - Returns: nil if another process has removed it before it was locked.
  static func lock(newFolder path: String) -> Int32? {
    let descriptor = open(path, O_DIRECTORY)
    guard descriptor >= 0 else { return nil }
    guard lock(descriptor), File.isSame(descriptor, as: path) else {
      close(descriptor)
      return nil
    }
    return descriptor
  }

  /// Locks what this process has made; true also where the file system has no locks.
  static func lock(_ descriptor: Int32) -> Bool {
    File.retrying { flock(descriptor, LOCK_EX | LOCK_NB) } == 0 || errno != EWOULDBLOCK
  }

  /// Lets others open what has got its name.
  static func unlock(_ descriptor: Int32) { _ = flock(descriptor, LOCK_UN) }

  /// Removes what stands beside a destination under hidden names and is locked by no process.
  static func removeLeftovers(of destination: String) {
    let folder = OutputFile.split(destination).folder
    let names = (try? Folder.names(folder)) ?? []
    for name in names where OutputFile.isHiddenName(name, of: destination) {
      let path = "\(folder)/\(name)"
      let descriptor = open(path, O_NONBLOCK)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      // Where there are no locks, nobody can tell.
      guard File.retrying({ flock(descriptor, LOCK_EX | LOCK_NB) }) == 0,
        File.isSame(descriptor, as: path)
      else { continue }
      if Folder.exists(path) { Folder.remove(path) } else { unsafe unlink(path) }
    }
  }

  private static func open(_ path: String, _ flags: Int32) -> Int32 {
    File.retrying { unsafe Platform.open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags) }
  }
}
