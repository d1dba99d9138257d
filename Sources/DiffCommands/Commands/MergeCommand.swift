import ArgumentParser
import Checkpoints
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
      does not matter. Exact diffs are combined with 'diffkit compose' instead. One of the diffs \
      may be '-', standard input; with '-o -', the result goes to standard output.

      Instead of diffs, a recipe in mergekit's vocabulary (YAML or JSON) may be given. Its models \
      are diffs, or checkpoints, whose deltas are computed. --show prints the recipe of a diff.

        diffkit merge a.diff b.diff -o both.diff
        diffkit merge a.diff b.diff --weights 1,-0.5 --scale 0.8 -o m.diff
        diffkit merge a.diff b.diff --weights 'encoder.layer.0-5.*=0.3,0.7' -o m.diff
        diffkit merge a.diff b.diff c.diff --method ties --density 0.2 --density-of nonzeros -o m.diff
        diffkit merge a.diff b.diff --method dare-ties --density 0.5 --density-of nonzeros --seed 7 \
      -o m.diff
      """)

  @Argument(help: "The diffs, or a recipe (.yml, .yaml, .json).", completion: .file())
  var diffs: [String]
  @OptionGroup var outputs: OutputOptions

  @Option(
    help: """
      The method. 'task-arithmetic' is an alias of 'sum', 'linear' of 'average'; '_' may replace '-'.
      """)
  var method: MergeMethod?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A weight for each diff, in the order of the diffs. 'PATTERN=w' or 'PATTERN=w,w' is for "
        + "tensors whose names match (*, ?, 0-5 for a range of numbers); the first match applies.",
      valueName: "w,w,…"))
  var weights: [String] = []

  @Option(parsing: .unconditional, help: "λ: multiplies the result.")
  var scale: Double?

  @Option(help: "The share of each diff that the method keeps, in 0 ... 1.")
  var density: Double?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp("A density for each diff, in the form of --weights.", valueName: "d,d,…"))
  var densities: [String] = []

  @Option(
    help: """
      The total that densities refer to: elements (of the tensors) or nonzeros (the changes of a \
      diff). Required if a diff changes less than half of the elements.
      """)
  var densityOf: DensityBase?

  @Flag(
    inversion: .prefixedNo,
    help: """
      Divide by the sum of the weights; the default of 'average' and of most methods that elect \
      signs.
      """)
  var normalize: Bool?

  @Option(help: "The definition of TIES (and of RAM+): reference (default), mergekit or peft.")
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

  @Option(
    help: "The heads to keep if they differ: first, drop (none), or the name of a diff.")
  var head: HeadChoice?

  @Option(
    help: "The base of the diffs, for --tune and for diffs that change numbers of rows.",
    completion: .file())
  var base: String?

  @Option(
    help: """
      With --base or a recipe, the rows to take where diffs change their number (vocabularies, \
      heads): first, average, drop (those of the base), or the name of a diff.
      """)
  var rows: RowChoice?

  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Choose the weights by the mean score (accuracy or Pearson's correlation) on the rows of this "
        + "file with the head of the first diff; repeat for the second diff, and so on. Requires "
        + "--base. Every other row is held out to measure the result.",
      valueName: "rows"), completion: .file())
  var tune: [String] = []

  @Flag(
    help: """
      With --tune: choose a density for each diff too, a share of its changes unless --density-of \
      says otherwise.
      """)
  var tuneDensities = false

  @Option(help: "How many weights --tune tries at most; by default 40.")
  var tuneBudget: Int?

  @OptionGroup(title: "Options for --tune") var modelFiles: ModelFiles

  @Option(help: "The type of stored values; by default f16, with a recipe f32.")
  var values: FloatType?

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @Flag(help: "Merge diffs that were made on different bases.")
  var allowOtherBase = false

  @Flag(help: "Refuse losses: changes that exceed a tensor's range, round to zero or cancel out.")
  var strict = false

  @Flag(
    help: """
      Write nothing; report size, density, and conflicts by tensor and by pair of diffs. Exit code 1 \
      if there are conflicts.
      """)
  var dryRun = false

  @Flag(help: "Print the recipe that a diff was merged with.")
  var show = false

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    if show { return try showRecipe() }
    guard let path = outputs.output ?? (dryRun ? "-" : nil) else {
      throw DiffError(.usage, "name the merged diff with -o FILE")
    }
    if let recipe = try recipePath { return try merge(recipe: recipe, to: path) }
    try refuseInapplicableOptions(to: method ?? .sum)
    let weights = try DiffNumbers(weights, option: "--weights")
    let densities = try DiffNumbers(densities, option: "--densities")
    if path != "-" { try check(output: path, isNoneOf: diffs) }
    let readers = try openDiffs(diffs)
    var inputs = try inputs(readers, weights, densities)
    try requireDensityBase(readers)
    var options = options
    guard rows == nil || base != nil else {
      throw DiffError(.usage, "--rows needs --base")
    }
    try refuseUnusedRows(readers)
    options.base = try base.map { try CheckpointFile.open($0) }
    options.metadata["diffkit.merge.weights"] = weights.text
    options.metadata["diffkit.merge.densities"] = densities.text
    var notes: [String] = []
    if !tune.isEmpty {
      guard let base else { throw DiffError(.usage, "--tune needs --base") }
      notes = try self.tune(&inputs, &options, base: base)
    }
    try merge(inputs, options, to: path, notes: notes)
  }

  /// Writes the merged diff and reports it.
  ///
  /// - Parameter locate: adds the location of the settings to an error.
  func merge(
    _ inputs: [MergeInput], _ options: MergeOptions, to path: String, notes: [String] = [],
    locate: (DiffError) -> DiffError = { $0 }
  ) throws {
    let notes = try notes + Diffs.notes(onRepeated: inputs.map(\.diff))
    func make(_ sink: any ByteSink, _ options: MergeOptions) throws -> MergeSummary {
      do throws(DiffError) {
        return try Diffs.merge(inputs, into: sink, options, progress: report.progress.show)
      } catch { throw locate(error) }
    }
    if dryRun { return try preview(inputs, options, notes: notes, make) }
    try writeDiff(path, force: outputs.force) { sink in
      try make(sink, options)
    } report: { summary, size in
      try report.print(
        MergeOutput(
          path, size: size, options, diffs: inputs.count, summary: summary, notes: notes))
    }
  }

  /// Prints what a merge would write.
  private func preview(
    _ inputs: [MergeInput], _ options: MergeOptions, notes: [String],
    _ make: (any ByteSink, MergeOptions) throws -> MergeSummary
  ) throws {
    try outputs.checkOutput(outputs.output)
    var options = options
    // Heads that differ are reported, not refused.
    let asks = options.heads == .refuse
    if asks { options.heads = .drop }
    let sink = CountingSink()
    let summary = try make(sink, options)
    let table = OverlapTable(
      try Diffs.overlaps(inputs, options), inputs.map { $0.diff.path ?? "-" })
    let output = MergePreviewOutput(
      options, size: sink.size, summary, clashing: asks ? summary.dropped : [], table,
      notes: notes + summary.notes)
    try report.print(output)
    if output.conflicts { throw ExitStatus.different }
  }

  /// Returns the diffs with their weights and densities.
  private func inputs(
    _ readers: [DiffReader], _ weights: DiffNumbers, _ densities: DiffNumbers
  ) throws -> [MergeInput] {
    if !self.densities.isEmpty, density != nil {
      throw DiffError(.usage, "--density and --densities exclude each other")
    }
    var inputs = readers.map { MergeInput($0) }
    let tensors = inputs.changedTensors
    let settings = try weights.settings(inputs.count, tensors: tensors, usual: 1)
    for index in inputs.indices { inputs[index].weight = settings[index] }
    if !self.densities.isEmpty {
      let settings = try densities.settings(inputs.count, tensors: tensors, usual: 1)
      for index in inputs.indices { inputs[index].density = settings[index] }
    }
    return inputs
  }

  /// Refuses a density without `--density-of` if a diff is sparse: the two meanings then differ
  /// widely.
  private func requireDensityBase(_ readers: [DiffReader]) throws {
    let hasDensity = density.map { $0 > 0 && $0 < 1 } ?? !densities.isEmpty
    guard hasDensity, densityOf == nil, method?.selection ?? .all != .all else { return }
    for (reader, name) in zip(readers, diffs) where reader.changedShare < 0.5 {
      let option = density.map { "--density \($0)" } ?? "--densities"
      let share = reader.changedShare.percent
      throw DiffError(
        .usage,
        "\(option) has two meanings here, since the diff changes only \(share) of the elements of its "
          + "tensors: choose '--density-of elements', a share of all elements (which trims nothing of "
          + "a diff that changes fewer), or '--density-of nonzeros', a share of the diff's own changes",
        path: name)
    }
  }

  /// Refuses `--rows` and `--base` if no diff changes the number of rows of a tensor.
  func refuseUnusedRows(_ readers: [DiffReader]) throws {
    let unused = [("--rows", rows != nil), ("--base", base != nil && tune.isEmpty)]
    guard let option = unused.first(where: \.1)?.0,
      !readers.contains(where: { $0.contains(where: \.isReshape) })
    else { return }
    throw DiffError(
      .usage,
      "\(option) has no use here: no diff changes the number of rows of a tensor; leave it out")
  }

  /// Refuses options that the method, or a merge without `--tune`, does not use.
  func refuseInapplicableOptions(to method: MergeMethod) throws {
    let ofTuning = [
      ("--tune-densities", tuneDensities), ("--tune-budget", tuneBudget != nil),
      ("--config", modelFiles.config != nil), ("--vocab", modelFiles.vocab != nil),
    ]
    if tune.isEmpty, let option = ofTuning.first(where: \.1)?.0 {
      throw DiffError(.usage, "\(option) needs --tune, the rows to choose weights by")
    }
    let hasDensity = density != nil || !densities.isEmpty || tuneDensities
    if densityOf != nil, !hasDensity, method.selection != .all {
      throw DiffError(.usage, "--density-of needs a density; leave it out")
    }
    let inapplicable = [
      ("--variant", variant != nil && !method.elects && method != .ramPlus),
      ("--epsilon", epsilon != nil && method.selection != .ranked),
      ("--gamma", gamma != nil && method.selection != .middle),
      ("--rescale", rescale != nil && [.all, .variance].contains(method.selection)),
      ("--ram-r", ramRate != nil && method != .ramPlus),
      ("--ram-alpha", ramLimit != nil && method != .ramPlus),
      ("--seed", seed != nil && !method.draws),
      ("--densities", !densities.isEmpty && method.selection == .all),
      ("--tune-densities", tuneDensities && method.selection == .all),
    ]
    guard let option = inapplicable.first(where: \.1)?.0 else { return }
    throw DiffError(.usage, "\(option) does not apply to '\(method.rawValue)'; leave it out")
  }

  var options: MergeOptions {
    var options = MergeOptions()
    options.method = method ?? options.method
    options.variant = variant ?? options.variant
    options.scale = scale ?? options.scale
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
    options.normalizes = normalize
    options.refusesLosses = strict
    options.rows = rows
    options.profile = profile
    options.metadata = metadata.values
    return options
  }
}

extension MergeMethod: ExpressibleByArgument {
  /// Creates a method from its name.
  public init?(argument: String) { self.init(named: argument) }
}

extension HeadChoice: ExpressibleByArgument {
  /// Creates a choice; any other word is the name of a diff.
  public init?(argument: String) {
    switch argument {
    case "first": self = .first
    case "drop": self = .drop
    default: self = .named(argument)
    }
  }
}

extension RowChoice: ExpressibleByArgument {
  /// Creates a choice; any other word is the name of a diff.
  public init?(argument: String) {
    switch argument {
    case "first": self = .first
    case "average": self = .average
    case "drop": self = .drop
    default: self = .named(argument)
    }
  }
}

extension SignVariant: ExpressibleByArgument {}
extension DensityBase: ExpressibleByArgument {}
extension Rescale: ExpressibleByArgument {}

extension FloatType: ExpressibleByArgument {
  /// The types that values of additions can have.
  private static let ofAdditions: [Self] = [.f16, .bf16, .f32]
  /// Their names.
  public static var allValueStrings: [String] { ofAdditions.map { "\($0)" } }
  /// Empty: the names need no description.
  public static var allValueDescriptions: [String: String] { [:] }

  /// Creates a type from its name.
  public init?(argument: String) {
    guard let type = Self.ofAdditions.first(where: { "\($0)" == argument }) else { return nil }
    self = type
  }
}
