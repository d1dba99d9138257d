import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// Runs create, apply, revert and verify on a sample base and its finetune.
struct FileTour: Tour {
  private let base, tuned: String
  let report: ReportOptions
  var samples: [String] { [base, tuned] }

  /// - Parameter samples: The folder of the samples.
  init(_ samples: String, _ report: ReportOptions) {
    self.report = report
    base = samples + "/textgenrnn_weights.hdf5"
    tuned = samples + "/textgenrnn_hacker_news.hdf5"
  }

  func run(into folder: String) throws {
    let before = try CheckpointFile.open(base)
    let after = try CheckpointFile.open(tuned)
    let (exact, added) = ("\(folder)/exact.diff", "\(folder)/half-percent.diff")
    let (applied, reverted) = ("\(folder)/tuned.h5", "\(folder)/base.h5")

    try say("1  create: the exact changes of the finetune")
    let whole = try create(exact, from: before, to: after, CreateOptions())
    try say("2  create --add --density 0.005: the largest 0.5 % of the changes, as float16")
    var options = CreateOptions()
    options.mode = .add(.density(0.005), values: .f16)
    let half = try create(added, from: before, to: after, options)

    try say("3  apply: base + exact diff")
    _ = try Diffs.apply([DiffReader(exact)], to: before, output: applied)
    try compare(applied, with: after, tuned)
    try say("4  apply again")
    let again = try Diffs.apply(
      [DiffReader(exact)], to: CheckpointFile.open(applied), output: "\(folder)/no")
    guard again == .alreadyDone else {
      throw DiffError(.checksum, "was not recognized as the result", path: applied)
    }
    try say("   already applied, nothing written")
    try say("5  revert: tuned + the same diff")
    _ = try Diffs.apply(
      [DiffReader(exact)], .revert, to: CheckpointFile.open(applied), output: reverted)
    try compare(reverted, with: before, base)
    try say("6  apply: base + 0.5 % diff")
    _ = try Diffs.apply([DiffReader(added)], to: before, output: "\(folder)/half-percent.h5")
    let state = try Diffs.verify(
      DiffReader(added), against: CheckpointFile.open("\(folder)/half-percent.h5"))
    guard state.checkpoint == .applied else {
      throw DiffError(.checksum, "is not the result of \(added)", path: "\(folder)/half-percent.h5")
    }
    try say("   verify: the checkpoint is its result")
    try report.print(
      FileTourOutput(
        folder: folder, base: try File(base).size, tensors: before.tensors.count, exact: whole,
        halfPercent: half))
  }

  private func create(
    _ path: String, from base: any Checkpoint, to tuned: any Checkpoint, _ options: CreateOptions
  ) throws -> FileTourOutput.Diff {
    let sink = try FileSink(path)
    let summary = try Diffs.create(from: base, to: tuned, into: sink, options)
    try sink.commit()
    let size = try File(path).size
    let density = Double(summary.changes) / Double(summary.elements)
    try say(
      "   \(path): \(size.bytes), \(summary.changes.grouped) of "
        + "\(summary.elements.grouped) weights (\(density.percent)) in "
        + "\(summary.changedTensors) of \(summary.tensors) tensors")
    return FileTourOutput.Diff(
      path: path, size: size, changes: summary.changes, elements: summary.elements)
  }

  /// Compares all tensors of two checkpoints by fingerprint.
  private func compare(
    _ path: String, with expected: any Checkpoint, _ name: String
  ) throws {
    let made = try CheckpointFile.open(path)
    for (one, other) in zip(made.tensors, expected.tensors) {
      let found = try made.fingerprint(of: one)
      let wanted = try expected.fingerprint(of: other)
      guard one.name == other.name, found == wanted else {
        throw DiffError(.checksum, "differs from \(name)", path: path, tensor: one.name)
      }
    }
    guard made.tensors.count == expected.tensors.count else {
      throw DiffError(.checksum, "has other tensors than \(name)", path: path)
    }
    try say("   \(path): all \(made.tensors.count) fingerprints equal those of \(name)")
  }
}

/// The output of the tour.
private struct FileTourOutput: CommandOutput {
  struct Diff: Encodable {
    let path: String
    let size, changes, elements: UInt64
  }

  let folder: String
  /// The size of the base in bytes, and the number of its tensors, all compared by fingerprint.
  let base: UInt64
  let tensors: Int
  let exact, halfPercent: Diff

  var text: String {
    var table = TextTable(["", "bytes", "of a full copy"], rightAligned: [1, 2])
    let sizes = [
      ("full copy", base), ("exact diff", exact.size), ("0.5 % diff", halfPercent.size),
    ]
    for (name, size) in sizes {
      table.add([name, size.grouped, (Double(size) / Double(base)).percent])
    }
    let storage = StorageReport(base: base, diffs: [UInt64](repeating: halfPercent.size, count: 9))
    return "\nA finetune of this model takes\n" + table.text
      + "Nine such tasks: base + 9 diffs of 0.5 % = \(storage.ratio.fixed(2)) × the base; "
      + "9 full copies \(storage.saving.fixed(1)) × as much.\n"
      + "\nThe files are in \(folder.escapingControls)/; to inspect one: diffkit inspect "
      + "\(exact.path.escapingControls)\n"
  }
}
