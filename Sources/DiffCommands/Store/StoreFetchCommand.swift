import ArgumentParser
import DiffStore
import Platform
import TensorCore

/// `diffkit store fetch`.
struct StoreFetchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch",
    abstract: "Bring a version from another store to one in a folder.",
    discussion: """
      Brings the links from the nearest version that the folder has, or an anchor and the links from \
      it, and checks them; then 'store switch' and a Follower need no server. The folder becomes a \
      store of its own.

        diffkit store fetch https://example.org/runs step-9 --to local
        diffkit store fetch s3://bucket/runs step-9 --to local --watch
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The version.") var name: String
  @Option(help: "The destination store, created if it does not exist.", completion: .directory)
  var to: String

  @Flag(help: "Continue with each version that descends from this one, until a signal ends it.")
  var watch = false

  @Option(help: "The interval of polling the store, in seconds.")
  var every = 2.0

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard every >= 0.01, every < 1e6 else {
      throw ValidationError("--every is from 0.01 to a million seconds")
    }
  }

  func run() throws {
    try store.with { source in
      var brought: [String: Fingerprint] = [:]
      try bring(name, from: source, &brought)
      var generation = source.index.generation
      while watch {
        usleep(UInt32(every.truncatingRemainder(dividingBy: 1) * 1e6))
        sleep(UInt32(every))
        try source.refresh()
        guard source.index.generation != generation else { continue }
        generation = source.index.generation
        for name in following(brought, source.index) { try bring(name, from: source, &brought) }
      }
    }
  }

  private func bring(
    _ name: String, from source: Store, _ brought: inout [String: Fingerprint]
  ) throws {
    let outcome = try Store.fetch(name, from: source, to: to)
    brought[name] = try source.version(name).fingerprint
    try report.print(StoreFetchOutput(from: source.name, to: to, name: name, outcome))
  }

  /// The versions that are new and come from one that was brought, each after its parent.
  private func following(
    _ brought: [String: Fingerprint], _ index: StoreIndex
  ) -> [String] {
    var line: Set<String> = []
    var new: [String] = []
    for version in index.versions {
      let follows = version.parent.map { line.contains($0) } ?? false
      guard follows || brought[version.name] == version.fingerprint else { continue }
      line.insert(version.name)
      if follows, brought[version.name] != version.fingerprint { new.append(version.name) }
    }
    return new
  }
}

/// What `store fetch` says of a version.
private struct StoreFetchOutput: CommandOutput {
  let from, to, name: String
  /// Those that are new in the folder, each after its parent.
  let versions: [String]
  let links, anchors: Int
  /// Bytes of what was brought.
  let bytes: UInt64

  init(from: String, to: String, name: String, _ outcome: FetchOutcome) {
    (self.from, self.to, self.name) = (from, to, name)
    (versions, links, anchors) = (outcome.versions, outcome.links, outcome.anchors)
    bytes = outcome.bytes
  }

  var text: String {
    var parts: [String] = []
    if anchors > 0 { parts.append(anchors.counted("anchor")) }
    if links > 0 { parts.append(links.counted("link")) }
    let brought = parts.isEmpty ? "there already" : parts.joined(separator: " and ")
    return "\(to): '\(name)', \(brought)\(parts.isEmpty ? "" : ", \(bytes.bytes)")"
      .escapingControls + "\n"
  }
}
