import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore

/// `diffkit stats`.
struct StatsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Measure diffs (density, values, storage of N tasks) or the values of a checkpoint.",
    discussion: """
      Give a base checkpoint first to compare the storage of N tasks with that of N full copies. \
      Give a checkpoint alone to measure its values. '-' is a diff on standard input, and diffs \
      may be on a server (http, https, s3).

        diffkit stats task.diff --plot
        diffkit stats base.h5 a.diff b.diff
        diffkit stats base.h5
      """)

  @Argument(
    help: "A base checkpoint (optional), and diffs; or a checkpoint.", completion: .file())
  var files: [String]

  @Flag(help: "Plot the densities by layer and kind of tensor.")
  var plot = false

  @OptionGroup var network: NetworkOptions
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard !(plot && report.json.json) else {
      throw ValidationError("--plot and --json exclude each other")
    }
  }

  func run() throws {
    var diffs = files
    var base: String?
    if try !isDiff(files[0]) {
      base = diffs.removeFirst()
      guard !diffs.isEmpty else {
        let checkpoint = try CheckpointFile.open(files[0])
        return try report.print(
          CheckpointMeasures(checkpoint, progress: report.progress.show))
      }
    }
    let remote = network.remote
    let readers = try diffs.map { try openDiff($0, remote) }
    try report.print(try StatsOutput(base, readers))
    if plot { for diff in readers { try StandardOutput.write(DensityGrid(diff).plot) } }
  }
}

/// The output of `stats`.
struct StatsOutput: CommandOutput {
  struct Figures: Encodable {
    let elements, changes: UInt64
    let density, bitsPerPosition, boundPerPosition, bytesPerChange: Double
    let values: Values?
  }

  struct Values: Encodable {
    let negative, zero: UInt64
    let smallest, largest, mean, l1, l2: Double
    /// The number of magnitudes in [2^e, 2^(e+1)), by e.
    let binades: [Int: UInt64]
  }

  struct Tensor: Encodable {
    let name, operation: String
    let figures: Figures
  }

  struct Diff: Encodable {
    let path: String
    let size, wholeTensorBytes: UInt64
    let sparse: Figures
    /// Changes / elements of the base, if a base is given.
    let modelDensity: Double?
    let tensors: [Tensor]
  }

  struct Storage: Encodable {
    let base, diffs, copies: UInt64
    let tasks: Int
    let ratio, saving: Double
  }

  let diffs: [Diff]
  let storage: Storage?

  init(_ base: String?, _ readers: [DiffReader]) throws {
    let checkpoint = try base.map { try CheckpointFile.open($0) }
    let elements = checkpoint?.tensors.filter { !$0.isOptimizerState }.map(\.shape.count).clampedSum
    diffs = try readers.map { reader in
      let report = try Diffs.statistics(of: reader)
      return Diff(
        path: reader.path ?? "", size: report.fileSize, wholeTensorBytes: report.wholeBytes,
        sparse: Figures(report.sparse),
        modelDensity: elements.map { Double(report.sparse.changes) / Double(max(1, $0)) },
        tensors: report.entries.map {
          Tensor(
            name: "\($0.entry.name)", operation: $0.entry.operation.name,
            figures: Figures($0.statistics))
        })
    }
    let sizes = diffs.map(\.size)
    storage = try checkpoint.map { checkpoint in
      let size = try checkpoint.files.map { try File($0).size }.clampedSum
      let report = StorageReport(base: size, diffs: sizes)
      return Storage(
        base: report.base, diffs: report.diffs, copies: report.copies, tasks: report.tasks,
        ratio: report.ratio, saving: report.saving)
    }
  }

  var text: String {
    var out = ""
    for diff in diffs {
      var table = TextTable(
        ["tensor", "operation", "elements", "changes", "density", "bits/pos", "bound", "B/change"],
        rightAligned: [2, 3, 4, 5, 6, 7])
      func row(_ name: String, _ operation: String, _ figures: Figures) {
        table.add([
          name, operation, figures.elements.grouped, figures.changes.grouped,
          figures.density.percent, figures.bitsPerPosition.fixed(2),
          figures.boundPerPosition.fixed(2), figures.bytesPerChange.fixed(2),
        ])
      }
      for tensor in diff.tensors { row(tensor.name, tensor.operation, tensor.figures) }
      row("all sparse", "", diff.sparse)
      out += "\(diff.path.escapingControls): \(diff.size.bytes)\n\n" + table.text + "\n"
      if let density = diff.modelDensity {
        out += "density in the whole base: \(density.percent)\n"
      }
      if let values = diff.sparse.values { out += values.text }
      out += "\n"
    }
    if let storage {
      out +=
        "\(storage.tasks.counted("task")): base \(storage.base.bytes) + "
        + "diffs \(storage.diffs.bytes) = \(storage.ratio.fixed(3)) × the base; full copies "
        + "\(storage.copies.bytes), \(storage.saving.fixed(1)) × as much\n"
    }
    return out
  }
}

extension StatsOutput.Figures {
  fileprivate init(_ statistics: DiffStatistics) {
    elements = statistics.elements
    changes = statistics.changes
    density = statistics.density
    bitsPerPosition = statistics.bitsPerPosition
    boundPerPosition = statistics.boundPerPosition
    bytesPerChange = statistics.bytesPerChange
    values = statistics.values.count > 0 ? StatsOutput.Values(statistics.values) : nil
  }
}

extension StatsOutput.Values {
  fileprivate init(_ values: ValueDistribution) {
    negative = values.negative
    zero = values.zero
    smallest = values.smallest
    largest = values.largest
    mean = values.meanMagnitude
    l1 = values.l1
    l2 = values.l2
    binades = values.binades
  }

  fileprivate var text: String {
    let most = binades.values.max() ?? 1
    var out =
      "magnitudes from \(smallest.brief) to \(largest.brief), mean \(mean.brief), "
      + "L2 norm \(l2.brief)\n"
    for (exponent, count) in binades.sorted(by: { $0.key > $1.key }) {
      let bar = String(repeating: "█", count: Int(40 * count / most)).styled(.cyan)
      let label = "2^\(exponent)"
      out += label + String(repeating: " ", count: max(1, 7 - label.count)) + bar
      out += " \(count.grouped)\n"
    }
    return out
  }
}
