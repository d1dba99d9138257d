import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// The result of checking a store.
public struct CheckReport: Sendable {
  /// The number of versions, links and anchors that were checked.
  public var versions = 0, links = 0, anchors = 0
  /// The size in bytes of the files that were read.
  public var bytes: UInt64 = 0
  /// The number of versions that were rebuilt and compared.
  public var rebuilt = 0
  /// The problems found, each with its version.
  public var problems: [(version: String, error: DiffError)] = []
  /// The paths of unreferenced files, which `prune` removes.
  public var unused: [String] = []
}

extension Store {
  /// Reads every byte of a store, and reports the problems found: files that are not those of the
  /// index, damaged diffs, versions to which no anchor leads, links whose fingerprints do not lead
  /// to their version.
  ///
  /// - Parameters:
  ///   - rebuilding: whether every version is also rebuilt and compared with its fingerprint.
  ///   - progress: called repeatedly with the progress of rebuilding a version.
  /// - Throws: the errors of reading the index.
  /// - Complexity: O(bytes of all files); to rebuild, O(bytes of a checkpoint) for each version.
  public func check(
    rebuilding: Bool = false, progress: ProgressHandler? = nil
  ) throws(DiffError) -> CheckReport {
    try refresh()
    files.forget()
    let index = index
    var report = CheckReport()
    var problems: [Int: DiffError] = [:]
    try index.visit { (number, parent: TensorTable?) throws(DiffError) in
      report.versions += 1
      do throws(DiffError) {
        let table = try check(number, of: index, after: parent, report: &report)
        if rebuilding {
          let made = TensorTable(try checkpoint(number, index).fingerprints(progress: progress))
          try require(made, index.versions[number], name)
          report.rebuilt += 1
        }
        return table
      } catch {
        problems[number] = error
        return nil
      }
    }
    do throws(DiffError) { try files.verify(files.modelFiles(index), again: true) } catch {
      // The files are those of the first version.
      problems[0] = problems[0] ?? error
    }
    report.problems = problems.sorted { $0.key < $1.key }.map {
      (index.versions[$0.key].name, $0.value)
    }
    if files.origin == nil { report.unused = try unused(index) }
    return report
  }

  /// Checks the files of a version, and returns its tensors according to the links to it.
  ///
  /// - Parameter before: the tensors of the parent; nil if there is none, or it has a problem.
  private func check(
    _ number: Int, of index: StoreIndex, after before: TensorTable?, report: inout CheckReport
  ) throws(DiffError) -> TensorTable {
    let version = index.versions[number]
    var table: TensorTable?
    if let link = version.link {
      report.links += 1
      report.bytes = [report.bytes, link.file.size].clampedSum
      try files.verify([(files.path(of: link), link.file)], again: true)
      guard let diff = try files.open([link]).first else {
        throw DiffError(.notFound, "is missing", path: files.path(of: link))
      }
      _ = try Diffs.verify(diff)
      if let parent = index.parent(of: number) {
        guard var before else {
          throw DiffError(
            .malformed, "its parent '\(version.parent ?? "")' cannot be rebuilt", path: name)
        }
        try before.take(diff)
        try require(before, version, diff.path)
        let claimed = diff.checkpoints
        guard claimed == nil || claimed?.base == index.versions[parent].fingerprint,
          claimed == nil || claimed?.result == version.fingerprint
        else {
          throw DiffError(
            .mismatch, "leads from or to another checkpoint than the index states", path: diff.path)
        }
        table = before
      }
    }
    if let anchor = version.anchor {
      report.anchors += 1
      report.bytes = [report.bytes, anchor.size].clampedSum
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
