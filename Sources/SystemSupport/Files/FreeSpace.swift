import Platform
import TensorCore

/// The free space of file systems.
package enum FreeSpace {
  /// Refuses an output of `bytes` bytes, not counting holes, if it cannot fit.
  ///
  /// - Throws: `no-space`, never on file systems that may share blocks or compress them.
  package static func require(_ bytes: UInt64, at path: String) throws(DiffError) {
    let folder = OutputFile.split(path).folder
    var system = statvfs()
    guard unsafe statvfs(folder, &system) == 0, neverShares.contains(type(of: folder)) else {
      return
    }
    // Some blocks are reserved for root.
    let blocks = UInt64(geteuid() == 0 ? system.f_bfree : system.f_bavail)
    let (free, isMore) = blocks.multipliedReportingOverflow(by: UInt64(system.f_frsize))
    guard !isMore, bytes > free else { return }
    throw DiffError(
      .noSpace, "needs \(bytes) bytes, and the file system has \(free) left", path: path)
  }

  /// The types of file systems that store every written byte.
  private static let neverShares: Set<String> = [
    "ext2", "ext3", "ext4", "tmpfs", "vfat", "exfat", "hfs", "msdos",
  ]

  /// Returns the type of the file system of a folder; empty if it is unknown.
  private static func type(of folder: String) -> String {
    #if os(Linux)
    var status = stat()
    guard unsafe stat(folder, &status) == 0,
      let mounts = try? File("/proc/self/mountinfo").readToEnd()
    else { return "" }
    let device = UInt64(status.st_dev)
    let major = device >> 8 & 0xFFF | device >> 32 & ~0xFFF
    let minor = device & 0xFF | device >> 12 & ~0xFF
    for line in String(decoding: mounts, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 2, fields[2] == "\(major):\(minor)",
        let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count
      else { continue }
      return String(fields[dash + 1])
    }
    #endif
    return ""
  }
}
