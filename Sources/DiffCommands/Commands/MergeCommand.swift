import ArgumentParser
import DiffFormat
import DiffOperations
import TensorCore

/// `diffkit merge`.
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Combine additive diffs of one base into one diff.",
    discussion: """
      sum (task arithmetic), average, ties, dare-linear, dare-ties, della, della-linear, \
      breadcrumbs, breadcrumbs-ties, ram, ram-plus, sce and model-stock. The order of the diffs \
      is of no consequence. Exact diffs are chained with 'diffkit compose' instead. One of the \
      diffs may be '-', standard input; with '-o -' the result goes to standard output.

        diffkit merge a.diff b.diff -o both.diff
        diffkit merge a.diff b.diff --weights 1,-0.5 --scale 0.8 -o m.diff
        diffkit merge a.diff b.diff c.diff --method ties --density 0.2 -o m.diff
        diffkit merge a.diff b.diff --method dare-ties --density 0.5 --seed 7 -o m.diff
      """)

  @Argument(help: "The diffs.", completion: .file()) var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(help: "The method; 'task-arithmetic' is another name of 'sum'.")
  var method = MergeMethod.sum

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("A weight for each diff, in the order of the diffs.", valueName: "w,w,…"))
  var weights: NumberList?

  @Option(parsing: .unconditional, help: "λ: multiplies the result.")
  var scale = 1.0

  @Option(help: "What the method keeps of each diff, in 0 ... 1.")
  var density: Double?

  @Option(help: "What --density is a share of: elements or nonzeros.")
  var densityOf: DensityBase?

  @Option(help: "reference (default), mergekit or peft: whose definition of TIES (and of RAM+).")
  var variant: SignVariant?

  @Option(help: "dare, della: inverse-density (default), l1 or none.")
  var rescale: Rescale?

  @Option(help: "della: how far probabilities reach from the density; by default 0.1.")
  var epsilon: Double?

  @Option(help: "breadcrumbs: the share of the largest changes that is dropped; by default 0.01.")
  var gamma: Double?

  @Option(name: .customLong("ram-r"), help: "ram-plus: r, by default 0.1.")
  var ramRate: Double?

  @Option(name: .customLong("ram-alpha"), help: "ram-plus: α, by default 0.2.")
  var ramLimit: Double?

  @Option(help: "dare, della: the seed of random choices; by default 0.")
  var seed: UInt64?

  @Option(help: "Keep only the largest merged changes, this share of the elements.")
  var pruneTo: Double?

  @Option(help: "Heads that differ: first, drop, or the name of the diff whose heads to take.")
  var head: HeadChoice?

  @Option(help: "The type of stored values, by default f16.")
  var values: FloatType?

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @Flag(help: "Merge diffs that were made on different bases.")
  var allowOtherBase = false

  @OptionGroup var report: ReportOptions

  func run() throws {
    guard let path = outputs.output else {
      throw DiffError(.usage, "name the merged diff with -o FILE")
    }
    try refuseVainOptions()
    if let weights, weights.numbers.count != diffs.count {
      throw DiffError(
        .usage, "\(weights.numbers.count) weights for \(diffs.count) diffs; give one for each")
    }
    try check(output: path, isNoneOf: diffs)
    let readers = try openDiffs(diffs)
    let inputs = readers.enumerated().map {
      MergeInput($1, weight: weights?.numbers[$0] ?? 1)
    }
    try writeDiff(path, force: outputs.force) { sink in
      try Diffs.merge(inputs, into: sink, options, progress: report.progress.show)
    } tell: { summary, size in
      try report.print(MergeOutput(path, size: size, options, diffs: diffs.count, summary))
    }
  }

  /// Refuses what the method would not look at.
  private func refuseVainOptions() throws {
    let isRandom = method.selection == .random || method.selection == .ranked
    let vain = [
      ("--variant", variant != nil && !method.elects && method != .ramPlus),
      ("--epsilon", epsilon != nil && method.selection != .ranked),
      ("--gamma", gamma != nil && method.selection != .middle),
      ("--ram-r", ramRate != nil && method != .ramPlus),
      ("--ram-alpha", ramLimit != nil && method != .ramPlus),
      ("--seed", seed != nil && !isRandom),
    ]
    guard let option = vain.first(where: \.1)?.0 else { return }
    throw DiffError(.usage, "\(option) means nothing to '\(method.rawValue)'; leave it out")
  }

  private var options: MergeOptions {
    var options = MergeOptions()
    options.method = method
    options.variant = variant ?? options.variant
    options.scale = scale
    options.density = density
    options.densityOf = densityOf
    options.rescale = rescale
    options.epsilon = epsilon ?? options.epsilon
    options.gamma = gamma ?? options.gamma
    options.ramRate = ramRate ?? options.ramRate
    options.ramLimit = ramLimit ?? options.ramLimit
    options.seed = seed ?? options.seed
    options.values = values ?? options.values
    options.pruneTo = pruneTo
    options.heads = head ?? .refuse
    options.allowsOtherBase = allowOtherBase
    options.profile = profile
    return options
  }
}

/// Numbers separated by commas.
struct NumberList: ExpressibleByArgument {
  let numbers: [Double]

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map {
      Double(String($0))
    }
    guard !parts.contains(where: { $0 == nil }) else { return nil }
    numbers = parts.compactMap { $0 }
  }
}

extension MergeMethod: ExpressibleByArgument {
  /// The method of a name, one of which has two.
  public init?(argument: String) {
    if argument == "task-arithmetic" { self = .sum } else { self.init(rawValue: argument) }
  }
}

extension HeadChoice: ExpressibleByArgument {
  /// A choice; what is none of the words is the name of a diff.
  public init?(argument: String) {
    switch argument {
    case "first": self = .first
    case "drop": self = .drop
    default: self = .named(argument)
    }
  }
}

extension SignVariant: ExpressibleByArgument {}
extension DensityBase: ExpressibleByArgument {}
extension Rescale: ExpressibleByArgument {}

extension FloatType: ExpressibleByArgument {
  /// The types that values of additions have.
  private static let ofAdditions: [Self] = [.f16, .bf16, .f32]
  /// Their names.
  public static var allValueStrings: [String] { ofAdditions.map { "\($0)" } }
  /// None: the names say it all.
  public static var allValueDescriptions: [String: String] { [:] }

  /// The type of a name.
  public init?(argument: String) {
    guard let type = Self.ofAdditions.first(where: { "\($0)" == argument }) else { return nil }
    self = type
  }
}

/// What `merge` tells.
private struct MergeOutput: CommandOutput {
  struct Tensor: Encodable {
    let name: String
    let diffs: Int
    let elements, read, changes, shared, opposite: UInt64
  }

  let output, method: String
  let size: UInt64
  let diffs: Int
  let elements, read, changes, shared, opposite, beyondRange: UInt64
  let tensors: [Tensor]
  let whole, droppedHeads: [String]

  init(
    _ path: String, size: UInt64, _ options: MergeOptions, diffs: Int, _ summary: MergeSummary
  ) {
    let total = summary.total
    output = path
    self.size = size
    self.diffs = diffs
    method = options.method.rawValue
    (elements, read, changes) = (total.elements, total.read, total.changes)
    (shared, opposite, beyondRange) = (total.shared, total.opposite, total.beyondRange)
    tensors = summary.tensors.map {
      Tensor(
        name: "\($0.name)", diffs: $0.diffs, elements: $0.elements, read: $0.read,
        changes: $0.changes,
        shared: $0.shared, opposite: $0.opposite)
    }
    whole = summary.whole.map(\.description)
    droppedHeads = summary.dropped.map(\.description)
  }

  var text: String {
    var out =
      "\(output.escapingControls): \(size.bytes), \(changes.counted("change")) out of \(read.grouped) "
      + "of \(diffs.counted("diff")) (\(method))\n"
    out +=
      "conflicts: \(shared.counted("position")) changed by several, \(opposite.grouped) of them in "
      + "opposite directions\n"
    let conflicts = tensors.filter { $0.shared > 0 }
      .sorted { ($0.opposite, $0.shared) > ($1.opposite, $1.shared) }
    if !conflicts.isEmpty {
      var table = TextTable(
        ["most conflicts", "diffs", "changes", "shared", "opposite"], rightAligned: [1, 2, 3, 4])
      for tensor in conflicts.prefix(10) {
        table.add([
          tensor.name, "\(tensor.diffs)", tensor.changes.grouped, tensor.shared.grouped,
          tensor.opposite.grouped,
        ])
      }
      out += table.text
    }
    if beyondRange > 0 {
      out +=
        "\(beyondRange.counted("change")) beyond the range of the tensors: such elements become "
      out += "infinite\n"
    }
    if !whole.isEmpty { out += "whole tensors: \(whole.count)\n" }
    for name in droppedHeads { out += "head left out: \(name.escapingControls)\n" }
    return out
  }
}
