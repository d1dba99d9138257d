import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit compare`.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Compare diffs, or two checkpoints.",
    discussion: """
      For diffs: overlap (Jaccard: shared positions / positions of either), cosine of the deltas, \
      agreement of signs at shared positions and ratio of norms, by tensor for two diffs and as \
      matrices for more. Cosine, signs and norms need the deltas; for exact diffs, give --base. \
      For two checkpoints: tensors in only one of them, different types or shapes, elements that \
      differ and the greatest difference; if both have the same format, all their other contents, \
      byte by byte.

      Values are equal if their bits are. With --atol or --rtol, they are equal if \
      |a - b| <= atol + rtol * |b|, as in NumPy's isclose, where b is the value in the second \
      file; two NaNs are then equal too.

      Exit codes: 0 same, 1 different, 2 error.

        diffkit compare a.diff b.diff
        diffkit compare tasks/*.diff --json
        diffkit compare model.h5 model.safetensors --rtol 1e-5
      """)

  @Argument(help: "Two or more diffs, or two checkpoints.", completion: .file()) var files: [String]

  @Option(help: "The base of exact diffs, to compute their deltas.", completion: .file())
  var base: String?

  @Option(help: "The absolute tolerance.")
  var atol: Double?

  @Option(help: "The tolerance relative to the second value.")
  var rtol: Double?

  @OptionGroup var map: MapOption
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard files.count >= 2 else { throw ValidationError("compare takes two or more files") }
    for value in [atol, rtol].compactMap({ $0 }) where !(value >= 0 && value.isFinite) {
      throw ValidationError("--atol and --rtol must be 0 or more")
    }
  }

  func run() throws {
    var options = CompareOptions()
    options.tolerance = Tolerance(absolute: atol ?? 0, relative: rtol ?? 0)
    options.names = try map.read()
    let areDiffs = try files.map(isDiff)
    guard areDiffs.contains(true) else { return try compareCheckpoints(options) }
    if let other = areDiffs.firstIndex(of: false) {
      throw DiffError(.notADiff, "is not a diff, but other files are", path: files[other])
    }
    let diffs = try files.map { try openDiff($0) }
    let comparison = try Diffs.compare(
      diffs, base: base.map { try CheckpointFile.open($0) }, options)
    let vainRules = options.names.unused(by: diffs.flatMap { $0.map(\.name) })
    try report.print(DiffComparisonOutput(files, comparison, vainRules: vainRules))
    if !comparison.areSame { throw ExitStatus.different }
  }

  private func compareCheckpoints(_ options: CompareOptions) throws {
    guard files.count == 2, base == nil else {
      throw DiffError(
        .usage,
        base == nil ? "checkpoints are compared two at a time" : "--base applies to diffs only",
        path: files[0])
    }
    let first = try CheckpointFile.open(files[0])
    let comparison = try first.compare(
      with: CheckpointFile.open(files[1]), options, progress: report.progress.show)
    let vainRules = options.names.unused(by: first.tensors.map(\.name))
    try report.print(CheckpointComparisonOutput(files, comparison, vainRules: vainRules))
    if !comparison.areSame { throw ExitStatus.different }
  }
}
