import ArgumentParser
import Checkpoints
import DiffOperations
import DiffStore
import TensorCore

/// `diffkit store`.
struct StoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Keep many versions of a checkpoint in a folder, and switch between them.",
    discussion: """
      A store holds full checkpoints (anchors) and the diffs between versions (links): tasks on \
      one base, successive steps, or both (spec/STORE.md). Files never change and the index is \
      replaced last, so readers need no lock and an interrupted command leaves no partial change.

        diffkit store init runs base.safetensors
        diffkit store add runs step-1.safetensors --name step-1
        diffkit store log runs
        diffkit store switch runs served.safetensors step-1 --in-place
        diffkit store get runs step-1 -o step-1.safetensors

      A store may be at an address: http and https for reading, s3://BUCKET/PREFIX also for writing.
      """,
    subcommands: [
      StoreInitCommand.self, StoreAddCommand.self, StoreLogCommand.self, StoreSwitchCommand.self,
      StoreGetCommand.self, StoreCheckCommand.self, StoreCompactCommand.self,
      StorePruneCommand.self, StoreRemoveCommand.self, StoreRenameCommand.self,
      StoreFetchCommand.self,
    ])
}

/// The argument that names a store, and the options of connections to servers.
struct StoreArgument: ParsableArguments {
  @Argument(help: "The folder of the store, or its address.", completion: .directory)
  var store: String
  @OptionGroup var network: NetworkOptions

  /// Calls `body` with the store.
  func with<Result>(_ body: (Store) throws -> Result) throws -> Result {
    try StoreTarget(store, network).with(body)
  }
}

/// `diffkit store init`.
struct StoreInitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Create a store with a checkpoint as its first version.",
    discussion: """
      The checkpoint is copied, and the copy is verified by its fingerprint. The configuration and \
      the tokenizer of a model are copied too if they are beside the checkpoint.

        diffkit store init runs base.safetensors
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The checkpoint.", completion: .file()) var base: String
  @Option(help: "The name of the version.") var name = "base"

  @Option(
    help: """
      A version gets an anchor when the links since the last anchor take more than this share of a \
      full copy.
      """)
  var anchorShare = 0.5

  @Option(help: "The maximum number of links between a version and its anchor.")
  var anchorLinks: UInt64 = 1000

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    let made: Store
    let checkpoint = try CheckpointFile.open(base)
    let model = ModelFiles.beside(checkpoint)
    let target = try StoreTarget(store.store, store.network)
    defer { withExtendedLifetime(target) {} }
    switch target {
    case .folder(let path):
      made = try Store.create(
        path, base: checkpoint, named: name, metadata: metadata.values, model: model,
        anchorShare: anchorShare, anchorLinks: anchorLinks, progress: report.progress.show)
    case .address(let origin, let kept, _):
      made = try Store.create(
        at: origin, keptIn: kept, base: checkpoint, named: name, metadata: metadata.values,
        model: model, anchorShare: anchorShare, anchorLinks: anchorLinks,
        progress: report.progress.show)
    }
    try report.print(
      VersionOutput(made.name, made.index.versions[0], model: made.index.model.map(\.name)))
  }
}

/// `diffkit store add`.
struct StoreAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add a checkpoint, as the exact diff from its parent, or a diff as it is.",
    discussion: """
      A version without --name is named by its fingerprint, and 'store compact' may combine its \
      link with the next one. A delta of another tool (spec/DELTAS.md) becomes the equivalent exact \
      diff.

        diffkit store add runs step-7.safetensors --name step-7 --parent step-6
        diffkit store add runs sms.diff --name sms --meta score.accuracy=0.97
        diffkit store add runs weight_v000007 --name step-7 --parent step-6
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "A checkpoint, a diff, or a delta of another tool.", completion: .file())
  var file: String
  @Option(help: "The name of the version.") var name: String?

  @Option(
    help: """
      The parent version; by default the base of the diff, the base version of the delta if there is \
      one of this number, or the version added last.
      """)
  var parent: String?

  @Option(
    help: "The parent as a file: faster than rebuilding it from the store.", completion: .file())
  var from: String?

  @Option(help: "size: the smallest encodings; speed: the fastest to decode.")
  var profile = EncodingProfile.size

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in try add(to: store) }
  }

  private func add(to store: Store) throws {
    var options = AddOptions()
    options.name = name
    options.parent = parent
    options.profile = profile
    options.metadata = metadata.values
    let takesDiff = try isDiff(file)
    guard !takesDiff || from == nil else {
      throw DiffError(
        .usage, "is a diff; --from applies to checkpoints and deltas only", path: file)
    }
    let source = try from.map { try CheckpointFile.open($0) }
    let show = report.progress.show
    let addition =
      if takesDiff {
        try store.add(openDiff(file), options, progress: show)
      } else if PublishedDelta.isDelta(file) {
        try store.add(PublishedDelta(file), options, from: source, progress: show)
      } else {
        try store.add(CheckpointFile.open(file), options, from: source, progress: show)
      }
    try report.print(VersionOutput(store.name, addition.version, addition.summary))
  }
}

/// The output of `store init` and `store add`.
private struct VersionOutput: CommandOutput {
  let store: String
  let version: StoreLogOutput.Version
  /// Objects of either checkpoint that are not in the link.
  let notCompared, notCarried: [CheckpointInspection.Skipped]
  /// The files of the model that were copied into the store.
  let model: [String]

  init(
    _ store: String, _ version: StoreVersion, _ summary: CreateSummary? = nil, model: [String] = []
  ) {
    self.store = store
    self.model = model.sorted()
    self.version = StoreLogOutput.Version(version, depth: 0)
    notCompared = summary?.notCompared.map { .init($0) } ?? []
    notCarried = summary?.notCarried.map { .init($0) } ?? []
  }

  var text: String {
    var parts: [String] = []
    if let parent = version.parent, let size = version.size {
      parts.append("\(size.bytes) from '\(parent)'")
      if let changes = version.changes, let density = version.density {
        parts.append("\(changes.counted("change")) (\(density.percent))")
      }
    }
    if let anchor = version.anchor { parts.append("an anchor of \(anchor.bytes)") }
    var lines = ["\(store): '\(version.name)', " + parts.joined(separator: ", ")]
    if !model.isEmpty { lines.append("with the model's \(model.joined(separator: ", "))") }
    for object in notCompared {
      lines.append("not compared: \(object.name.abbreviated()), \(object.reason)")
    }
    for object in notCarried.prefix(10) {
      lines.append("not in the store: \(object.name.abbreviated()): \(object.reason)")
    }
    if notCarried.count > 10 { lines.append("not in the store: \(notCarried.count - 10) more") }
    return lines.map { $0.escapingControls + "\n" }.joined()
  }
}
