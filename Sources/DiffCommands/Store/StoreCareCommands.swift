import ArgumentParser
import DiffOperations
import DiffStore
import SystemSupport
import TensorCore

/// `diffkit store check`.
struct StoreCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check a store: every byte of it, and whether an anchor leads to every version.",
    discussion: """
      Exit code 0: the store is sound. Exit code 2: it is not; what is wrong is listed.

        diffkit store check runs
        diffkit store check runs --rebuild
      """)

  @OptionGroup var store: StoreArgument
  @Flag(help: "Make every version, too, and compare it with its fingerprint.") var rebuild = false
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in
      let found = try store.check(rebuilding: rebuild, progress: report.progress.show)
      try report.print(CheckOutput(store.name, found))
      if !found.problems.isEmpty { throw ExitStatus.trouble }
    }
  }
}

/// What `store check` says.
private struct CheckOutput: CommandOutput {
  struct Problem: Encodable {
    let version, code, message: String
  }

  let path: String
  let sound: Bool
  let versions, links, anchors, rebuilt: Int
  let bytes: UInt64
  let problems: [Problem]
  /// Files that nothing refers to.
  let unused: [String]

  init(_ path: String, _ report: CheckReport) {
    self.path = path
    sound = report.problems.isEmpty
    (versions, links, anchors) = (report.versions, report.links, report.anchors)
    (rebuilt, bytes) = (report.rebuilt, report.bytes)
    problems = report.problems.map {
      Problem(
        version: $0.version, code: $0.error.code.description,
        message: $0.error.line(\.commandLine))
    }
    unused = report.unused
  }

  var text: String {
    var lines = problems.map { "'\($0.version)': \($0.message)" }
    if !unused.isEmpty {
      lines.append(
        "\(unused.count.counted("file")) that nothing refers to: 'store prune' removes them")
    }
    lines.append(
      "\(path): \(sound ? "sound" : "not sound"); \(versions.counted("version")), "
        + "\(links.counted("link")), \(anchors.counted("anchor")), \(bytes.bytes)"
        + (rebuilt > 0 ? ", \(rebuilt) rebuilt" : ""))
    return lines.map { $0.escapingControls + "\n" }.joined()
  }
}

/// `diffkit store compact`.
struct StoreCompactCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact",
    abstract: "Make runs of exact links one link each.",
    discussion: """
      Versions with a name stay, unless --drop says that they need not; so do those with an anchor \
      and those from which several come. 'store prune' then removes the files that are not needed.

        diffkit store compact runs --drop 'step-*'
      """)

  @OptionGroup var store: StoreArgument
  @Option(help: "Names that need not stay, with wildcards; may be given again.")
  var drop: [String] = []
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in
      try report.print(
        RemovalOutput(store.name, try store.compact(dropping: drop.map { NamePattern($0) })))
    }
  }
}

/// `diffkit store prune`.
struct StorePruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Remove versions that are not to be kept, and files that nothing refers to.",
    discussion: """
      What a version that stays needs stays or is made anew. Files stay for a while after the last \
      version that needs them is gone, since others may be reading them.

        diffkit store prune runs --keep 'release-*' --newest 20
        diffkit store prune runs
      """)

  @OptionGroup var store: StoreArgument
  @Option(help: "Names that stay, with wildcards; may be given again. Without any, all stay.")
  var keep: [String] = []
  @Option(help: "How many of those stay that were added last.") var newest: Int?
  @Option(help: "For how many seconds files stay that nothing refers to.") var grace: UInt64 = 3600
  @OptionGroup var report: ReportOptions

  func validate() throws {
    if let newest, newest < 0 { throw ValidationError("--newest must be 0 or more") }
  }

  func run() throws {
    try store.with { store in
      try report.print(
        RemovalOutput(
          store.name,
          try store.prune(keeping: keep.map { NamePattern($0) }, newest: newest, grace: grace)))
    }
  }
}

/// `diffkit store remove`.
struct StoreRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove",
    abstract: "Remove a version. Those that come from it stay.",
    discussion: """
        diffkit store remove runs step-3
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The version.") var name: String
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in
      try report.print(RemovalOutput(store.name, try store.remove(name)))
    }
  }
}

/// `diffkit store rename`.
struct StoreRenameCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename",
    abstract: "Give a version another name.",
    discussion: """
        diffkit store rename runs step-900 release-2
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The version.") var name: String
  @Argument(help: "Its new name.") var newName: String
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in
      try store.rename(name, to: newName)
      try report.print(RenameOutput(store: store.name, from: name, to: newName))
    }
  }
}

/// What `store rename` says.
private struct RenameOutput: CommandOutput {
  let store, from, to: String

  var text: String { "\(store): '\(from)' is '\(to)' now".escapingControls + "\n" }
}

/// What the commands say that remove versions.
private struct RemovalOutput: CommandOutput {
  let store: String
  let versions: [String]
  let links, anchors, files, waiting: Int
  let bytes: UInt64

  init(_ store: String, _ removal: Removal) {
    self.store = store
    versions = removal.versions
    (links, anchors) = (removal.links, removal.anchors)
    (files, waiting, bytes) = (removal.files, removal.waiting, removal.bytes)
  }

  var text: String {
    var parts = ["\(versions.count.counted("version")) removed"]
    if links > 0 { parts.append("\(links.counted("link")) made of several") }
    if anchors > 0 { parts.append("\(anchors.counted("anchor")) made") }
    if files > 0 { parts.append("\(files.counted("file")) of \(bytes.bytes) removed") }
    if waiting > 0 { parts.append("\(waiting.counted("file")) to be removed after a while") }
    return "\(store): \(parts.joined(separator: ", "))".escapingControls + "\n"
  }
}
