import Algorithms
import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

/// The result of `verify`.
public struct VerifyReport: Sendable, Hashable {
  /// The numbers of entries and pages, all of them decoded and checked.
  public var entries = 0, pages = 0
  /// The number of stored values.
  public var values: UInt64 = 0
  /// The state of the checkpoint relative to the diff; nil if none was given.
  public var checkpoint: CheckpointState?
  /// The first tensors that are neither at the base nor at the result, and the number of all of
  /// them.
  public var differing: [TensorName] = [], differingCount = 0
}

/// The state of a checkpoint relative to a diff.
public enum CheckpointState: String, Sendable, Hashable {
  /// All tensors are at the base.
  case base
  /// All tensors are at the result.
  case applied
  /// Some tensors are at the base, some at the result.
  case partlyApplied = "partly-applied"
  /// Some tensors are neither, or missing.
  case different
}

extension Diffs {
  /// Decodes all of a diff and, if a checkpoint is given, finds its state.
  ///
  /// - Throws: the errors of reading a damaged diff; `checksum` if the elements of an inserted or
  ///   deleted tensor do not match its fingerprint; `io` for the checkpoint; `unsupported` if the
  ///   diff lacks the hashes to verify by.
  /// - Complexity: O(size of the diff + bytes of the tensors that it changes).
  public static func verify(
    _ diff: DiffReader, against checkpoint: (any Checkpoint)? = nil,
    _ verification: Verification = .full, names: NameMap = NameMap(),
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> VerifyReport {
    var report = VerifyReport()
    var progress = ProgressCounter("decode", total: diff.size, handler)
    for entry in diff {
      report.entries += 1
      var whole = entry.wholeFingerprint.map { _ in FingerprintStream(entry.type, entry.shape) }
      for stream in entry.operation.streams {
        let pages = entry.pages[stream] ?? []
        try decode(pages, of: entry, stream, in: diff, hashing: &whole)
        report.pages += pages.count
      }
      if let whole { try diff.requireConsistent(entry, whole.finish()) }
      report.values += entry.count
      progress.add(entry.storedSize)
    }
    progress.finish()
    if let checkpoint {
      try check(
        diff, against: checkpoint, verification, names: names, into: &report, progress: handler)
    }
    return report
  }
}

/// Decodes pages on all cores and hashes the elements of a whole tensor.
private func decode(
  _ pages: [PageInfo], of entry: DiffEntry, _ stream: DiffStream, in diff: DiffReader,
  hashing whole: inout FingerprintStream?
) throws(DiffError) {
  var buffers = [PageBuffer](repeating: PageBuffer(), count: min(pages.count, 16))
  for group in pages.chunks(ofCount: 16) {
    try parallelForEach(&buffers, count: group.count) { index, buffer throws(DiffError) in
      try buffer.load(group[group.startIndex + index], of: entry, stream, from: diff.source)
    }
    for buffer in buffers.prefix(group.count) { whole?.append(buffer.changes.values) }
  }
}

private func check(
  _ diff: DiffReader, against checkpoint: any Checkpoint, _ verification: Verification,
  names: NameMap, into report: inout VerifyReport, progress handler: ProgressHandler?
) throws(DiffError) {
  // Ambiguous names are an error of the diff, not a difference of the checkpoint.
  try diff.checkNames()
  var plans = try TensorPlan.drafts([diff], .apply, on: checkpoint, names)
  var others = plans.filter { !$0.fits(checkpoint) }.map(\.name)
  var states: Set<TensorState> = others.isEmpty ? [] : [.other]
  plans.removeAll { !$0.fits(checkpoint) }
  var options = ApplyOptions()
  options.verification = verification
  try check(plans, options)
  var progress = ProgressCounter("compare", total: plans.map(\.byteCount).clampedSum, handler)
  for plan in plans {
    let state = try classify(plan, on: checkpoint, options, progress: &progress)
    if state != .base || !plan.isNeutral { states.insert(state) }
    if state == .other { others.append(plan.name) }
  }
  progress.finish()
  report.differing = Array(others.sorted().prefix(10))
  report.differingCount = others.count
  report.checkpoint =
    states.contains(.other)
    ? .different : states.count == 2 ? .partlyApplied : states == [.result] ? .applied : .base
}
