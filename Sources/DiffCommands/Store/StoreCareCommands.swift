import ArgumentParser
import DiffOperations
import DiffStore
import SystemSupport
import TensorCore

/// `diffkit store check`.
struct StoreCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Check every byte of a store, and that an anchor leads to every version.",
    discussion: """
      Exit code 0: the store is sound. Exit code 2: it is not; the problems are listed.

        diffkit store check runs
        diffkit store check runs --rebuild
      """)

  @OptionGroup var store: StoreArgument
  @Flag(help: "Also rebuild every version and compare it with its fingerprint.") var rebuild = false
  @OptionGroup var report: ReportOptions

  func run() throws {
    try store.with { store in
      let found = try store.check(rebuilding: rebuild, progress: report.progress.show)
      try report.print(CheckOutput(store.name, found))
      if !found.problems.isEmpty { throw ExitStatus.trouble }
    }
  }
}

/// The output of `store check`.
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
        "unreferenced: \(unused.count.counted("file")); remove with 'store prune'")
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
    abstract: "Combine successive exact links into one link each.",
    discussion: """
      Versions with a name are kept unless --drop matches them, as are versions with an anchor or \
      with several children. 'store prune' then removes the files that are no longer needed.

        diffkit store compact runs --drop 'step-*'
      """)

  @OptionGroup var store: StoreArgument
  @Option(help: "Names that need not be kept, with wildcards; may be repeated.")
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
    abstract: "Remove versions that are not to be kept, and unreferenced files.",
    discussion: """
      Links and anchors that a remaining version needs are kept or made again. Unreferenced files \
      are kept for a while, since other processes may be reading them.

        diffkit store prune runs --keep 'release-*' --newest 20
        diffkit store prune runs
      """)

  @OptionGroup var store: StoreArgument
  @Option(help: "Names to keep, with wildcards; may be repeated. Without any, all are kept.")
  var keep: [String] = []
  @Option(help: "The number of most recently added versions to keep.") var newest: Int?
  @Option(help: "Seconds for which unreferenced files are kept.") var grace: UInt64 = 3600
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
    abstract: "Remove a version. Its children are kept.",
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
    abstract: "Rename a version.",
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

/// The output of `store rename`.
private struct RenameOutput: CommandOutput {
  let store, from, to: String

  var text: String { "\(store): '\(from)' renamed to '\(to)'".escapingControls + "\n" }
}

/// The output of the commands that remove versions.
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
    if links > 0 { parts.append("\(links.counted("link")) combined from several") }
    if anchors > 0 { parts.append("\(anchors.counted("anchor")) made") }
    if files > 0 { parts.append("\(files.counted("file")) of \(bytes.bytes) removed") }
    if waiting > 0 { parts.append("\(waiting.counted("file")) to be removed later") }
    return "\(store): \(parts.joined(separator: ", "))".escapingControls + "\n"
  }
}
