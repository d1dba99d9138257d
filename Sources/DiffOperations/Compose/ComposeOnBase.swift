import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

extension Diffs {
  /// Composes any chain of exact diffs: applies them to the base one after the other and creates
  /// the XOR diff from the base to the last result.
  ///
  /// - Parameters:
  ///   - diffs: the diffs, in the order of application.
  ///   - base: the base of the first diff.
  ///   - scratch: a path beside which two temporary checkpoints are written, and removed in the
  ///     end.
  ///   - sink: the destination of the composed diff.
  ///   - profile: the profile by which encodings are chosen.
  ///   - metadata: further metadata to store.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: the errors of `apply` and `create`; `unsupported` for additions.
  /// - Complexity: O(size of the base) for each diff.
  public static func compose(
    _ diffs: [DiffReader], on base: any Checkpoint, scratch: String, into sink: any ByteSink,
    profile: EncodingProfile = .size, metadata: [String: String] = [:],
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ComposeSummary {
    for tensor in try AlignedTensor.all(diffs) { _ = try EntryChain(tensor, diffs) }
    var results: [String] = []
    defer { for path in results { removeScratch(path) } }
    var last = base
    for diff in diffs {
      let path = OutputFile.hiddenName(scratch)
      Interruption.add(temporary: path)
      results.append(path)
      let outcome = try apply([diff], to: last, output: path, progress: handler)
      guard outcome != .alreadyDone else {
        // A diff that changes nothing leaves the checkpoint at its base.
        guard try verify(diff, against: last).checkpoint == .base else {
          throw DiffError(
            .wrongBase,
            "is not the base of '\(diff.path ?? "the diff")', but its result",
            path: base.path)
        }
        continue
      }
      last = try CheckpointFile.open(path)
      if results.count > 2 { removeScratch(results.removeFirst()) }
    }
    var options = CreateOptions()
    options.profile = profile
    // Changes of the optimizer state are composed too.
    options.includesOptimizer = true
    options.metadata = composedMetadata(of: diffs, metadata)
    let created = try create(from: base, to: last, into: sink, options, progress: handler)
    var summary = ComposeSummary()
    summary.tensors = created.changedTensors
    summary.changes = created.changes
    summary.elements = created.changedElements
    return summary
  }
}

/// Removes a checkpoint, if it exists: a file or, sharded, a folder.
private func removeScratch(_ path: String) {
  if Folder.exists(path) { Folder.remove(path) } else { try? File.remove(path) }
  Interruption.remove(temporary: path)
}
