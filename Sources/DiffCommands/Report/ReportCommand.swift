import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// `diffkit report`.
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Write an HTML report on diffs: densities by layer, magnitudes and overlap.",
    discussion: """
      The report is one file without scripts that needs no network and follows the light or dark \
      mode of its reader. Under densities, magnitudes and matrices are tables of their numbers.

      With --base, the storage of the diffs is compared with full copies, and the deltas of exact \
      diffs are included. --metrics plots training runs from files that 'train --metrics' wrote.

        diffkit report task.diff -o report.html
        diffkit report tasks/*.diff --base base.h5 -o report.html
      """)

  @Argument(help: "The diffs.", completion: .file()) var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(help: "The base checkpoint.", completion: .file())
  var base: String?

  @Option(help: "The tensor of the heat maps; by default the matrix with the most changes.")
  var tensor: String?

  @Option(help: "The metrics file of a training run; may be repeated.", completion: .file())
  var metrics: [String] = []

  @OptionGroup var map: MapOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    let output = outputs.output ?? "report.html"
    try check(output: output, isNoneOf: diffs + [base].compactMap { $0 } + metrics)
    let names = try map.read()
    let readers = try diffs.map { try openDiff($0) }
    var contents = try ReportContents(
      readers, base: base.map { try CheckpointFile.open($0) },
      tensor: tensor.map { TensorName($0) }, names: names)
    contents.curves = try metrics.map { try TrainingCurves($0) }
    contents.command =
      (["diffkit report"] + diffs
      + [("--base", base), ("--tensor", tensor), ("--map", map.path)].flatMap { name, value in
        value.map { [name, $0] } ?? []
      } + metrics.flatMap { ["--metrics", $0] }).joined(separator: " ")
    let page = Array(ReportPage(contents).html.utf8)
    guard output != "-" else { return try StandardOutput.write(page) }
    let sink = try FileSink(output, overwriting: outputs.force)
    try sink.write(page.span)
    try sink.commit()
    try report.print(
      ReportOutput(
        output: output, size: UInt64(page.count), diffs: readers.count,
        vainRules: names.unused(by: readers.flatMap { $0.map(\.name) })))
  }
}

/// The output of `report`.
private struct ReportOutput: CommandOutput {
  let output: String
  let size: UInt64
  let diffs: Int
  /// Rules of `--map` that no name of the diffs matches.
  let vainRules: [String]

  var text: String {
    "\(output.escapingControls): \(size.bytes)\n" + MapOption.text(vainRules: vainRules)
  }
}

/// The contents of a report.
struct ReportContents {
  struct Diff {
    let path: String
    let identity: String
    let metadata: [String: String]
    let report: DiffReport
    let grid: DensityGrid
    /// The magnitudes of the deltas, if they are known.
    let values: ValueDistribution?
    /// The heat map of the tensor that is drawn for each diff; nil if the diff does not change it.
    let heatMap: HeatMap?
  }

  let diffs: [Diff]
  let storage: StorageReport?
  let modelElements: UInt64?
  let comparison: DiffComparison?
  var curves: [TrainingCurves] = []
  /// The command line that made the report.
  var command = ""

  init(
    _ readers: [DiffReader], base: (any Checkpoint)?, tensor: TensorName?, names: NameMap
  ) throws {
    let drawn = tensor ?? HeatMap.tensor(ofMostChangesIn: readers)
    diffs = try readers.map { reader in
      let report = try Diffs.statistics(of: reader)
      var values: ValueDistribution? = report.sparse.values
      if report.sparse.values.count == 0 {
        values = try base.flatMap { try Diffs.magnitudes(of: reader, base: $0, names: names) }
      }
      return Diff(
        path: reader.path ?? "", identity: reader.identity.description,
        metadata: reader.metadata, report: report, grid: DensityGrid(reader), values: values,
        heatMap: try drawn.flatMap { try HeatMap(reader, $0) })
    }
    if let tensor, diffs.allSatisfy({ $0.heatMap == nil }) {
      throw DiffError(.mismatch, "is changed by none of the diffs", tensor: tensor)
    }
    let baseSize = try base.map { base in try base.files.map { try File($0).size }.clampedSum }
    storage = baseSize.map { StorageReport(base: $0, diffs: readers.map(\.size)) }
    modelElements = base?.tensors.map(\.shape.count).clampedSum
    var options = CompareOptions()
    options.names = names
    comparison = readers.count > 1 ? try Diffs.compare(readers, base: base, options) : nil
  }
}
