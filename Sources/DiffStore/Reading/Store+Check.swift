import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// What `check` found.
public struct CheckReport: Sendable {
  /// Versions, links and anchors, all of them checked.
  public var versions = 0, links = 0, anchors = 0
  /// Bytes of files that were read.
  public var bytes: UInt64 = 0
  /// Versions that were made and compared.
  public var rebuilt = 0
  /// What is wrong, each with the version and the file concerned.
  public var problems: [(version: String, error: DiffError)] = []
  /// Files that the index does not refer to: `prune` removes them.
  public var unused: [String] = []
}

extension Store {
  /// Reads every byte of a store, and tells what is wrong with it: files that are not those of the
  /// index, diffs that are not sound, versions to which no anchor leads, links that do not lead to
  /// their version by the fingerprints that they state.
  ///
  /// - Parameter rebuilding: whether every version is made, too, and compared with its fingerprint.
  /// - Throws: what reading the index throws.
  /// - Complexity: O(bytes of all files); to rebuild, O(bytes of a checkpoint) for each version.
  public func check(
    rebuilding: Bool = false, progress: ProgressHandler? = nil
  ) throws(DiffError) -> CheckReport {
    try refresh()
    files.forget()
    let index = index
    var report = CheckReport()
    var tables: [Int: TensorTable] = [:]
    var lastChild: [Int: Int] = [:]
    for number in index.versions.indices {
      if let parent = index.parent(of: number) { lastChild[parent] = number }
    }
    for (number, version) in index.versions.enumerated() {
      report.versions += 1
      do throws(DiffError) {
        let table = try check(number, of: index, parents: tables, report: &report)
        if rebuilding {
          let made = TensorTable(try checkpoint(number, index).fingerprints(progress: progress))
          try require(made, version, name)
          report.rebuilt += 1
        }
        // Needed as long as a version comes from it.
        if lastChild[number] != nil { tables[number] = table }
      } catch {
        report.problems.append((version.name, error))
      }
      if let parent = index.parent(of: number), lastChild[parent] == number {
        tables[parent] = nil
      }
    }
    if files.origin == nil { report.unused = try unused(index) }
    return report
  }

  /// Checks the files of a version, and returns its tensors as the links before it tell them.
  private func check(
    _ number: Int, of index: StoreIndex, parents tables: [Int: TensorTable],
    report: inout CheckReport
  ) throws(DiffError) -> TensorTable {
    let version = index.versions[number]
    var table: TensorTable?
    if let link = version.link {
      report.links += 1
      report.bytes += link.file.size
      try files.verify([(files.path(of: link), link.file)], again: true)
      guard let diff = try files.open([link]).first else {
        throw DiffError(.notFound, "is not there", path: files.path(of: link))
      }
      _ = try Diffs.verify(diff)
      if let parent = index.parent(of: number) {
        guard var before = tables[parent] else {
          throw DiffError(
            .malformed, "its parent '\(version.parent ?? "")' cannot be made", path: name)
        }
        try before.take(diff)
        try require(before, version, diff.path)
        let claimed = diff.checkpoints
        guard claimed == nil || claimed?.base == index.versions[parent].fingerprint,
          claimed == nil || claimed?.result == version.fingerprint
        else {
          throw DiffError(
            .mismatch, "leads from or to another checkpoint than the index says", path: diff.path)
        }
        table = before
      }
    }
    if let anchor = version.anchor {
      report.anchors += 1
      report.bytes += anchor.size
      try files.verify(files.files(of: anchor), again: true)
      let found = TensorTable(try CheckpointFile.open(files.path(of: anchor)).fingerprints())
      try require(found, version, files.path(of: anchor))
      table = found
    }
    guard let table else {
      throw DiffError(.malformed, "neither a link nor an anchor leads to it", path: name)
    }
    return table
  }
}
