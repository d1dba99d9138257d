import SystemSupport
import TensorCore

/// An entry of a folder that a copy of the folder does not get: a symbolic link to a folder, which
/// may lead anywhere, one that leads nowhere, or a pipe, socket or device.
struct SpecialFile {
  /// What it is, in words.
  let what: String
  /// The same for two entries of the same kind that lead to the same file or folder.
  let digest: Fingerprint

  /// Describes what is at a path, or returns nil if it is a regular file, a link to one, or a folder.
  init?(_ path: String) {
    let text = File.linkText(path)
    if Folder.exists(path) {
      guard text != nil else { return nil }
      what = "a link to a folder"
      let target = Array((File.realPath(path) ?? "").utf8)
      digest = XXH3.hash128(target.span)
    } else if File.isRegular(path) {
      return nil
    } else {
      // A link to a pipe is as little a file as the pipe.
      let isDangling = text != nil && File.realPath(path) == nil
      what = isDangling ? "a link that leads nowhere" : "a pipe, socket or device"
      let target = text ?? []
      digest = XXH3.hash128(target.span)
    }
  }
}

extension SafeTensorsFolder {
  /// A line for each entry of the folder that a copy of it does not get.
  public func notesOnCopying() throws(DiffError) -> [String] {
    var notes: [String] = []
    for name in try otherFiles { try addNotes(name, to: &notes) }
    try addUnnamed(in: folder, to: &notes)
    return notes
  }

  private func addNotes(_ name: String, to notes: inout [String]) throws(DiffError) {
    let path = "\(folder)/\(name)"
    if let special = SpecialFile(path) {
      notes.append("not copied: \(name), \(special.what)")
    } else if Folder.exists(path) {
      for inner in try Folder.names(path) { try addNotes("\(name)/\(inner)", to: &notes) }
      try addUnnamed(in: path, to: &notes)
    }
  }

  private func addUnnamed(in path: String, to notes: inout [String]) throws(DiffError) {
    let count = try Folder.unnamedCount(path)
    if count > 0 {
      notes.append("not copied: files in \(path) whose names are not UTF-8 (\(count))")
    }
  }
}
