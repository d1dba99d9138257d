import ArgumentParser
import DiffStore
import Platform
import TensorCore

/// `diffkit store fetch`.
struct StoreFetchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fetch",
    abstract: "Fetch a version from another store into one in a folder.",
    discussion: """
      Fetches the links from the nearest version that the folder has, or an anchor and the links \
      from it, and checks them; then 'store switch' and a Follower need no server. The folder is a \
      complete store.

        diffkit store fetch https://example.org/runs step-9 --to local
        diffkit store fetch s3://bucket/runs step-9 --to local --watch
      """)

  @OptionGroup var store: StoreArgument
  @Argument(help: "The version.") var name: String
  @Option(help: "The destination store, created if it does not exist.", completion: .directory)
  var to: String

  @Flag(
    help: """
      Continue with each version that descends from this one, until a signal ends it; if the server \
      does not respond for a while, too.
      """)
  var watch = false

  @Option(help: "The interval of polling the store, in seconds.")
  var every = 2.0

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard every >= 0.01, every < 1e6 else {
      throw ValidationError("--every must be from 0.01 to a million seconds")
    }
  }

  func run() throws {
    try store.with { source in
      try fetch(name, from: source)
      var followed = [name: try source.version(name).fingerprint]
      var isInterrupted = false
      while watch {
        do {
          for name in try following(&followed, source.index) { try fetch(name, from: source) }
          pause()
          try source.refresh()
          if isInterrupted { StandardError.say("\(source.name): watching again") }
          isInterrupted = false
        } catch let error as DiffError where error.mayPass {
          if !isInterrupted { StandardError.say(error.line(\.commandLine) + "; still watching") }
          isInterrupted = true
          pause()
        }
      }
    }
  }

  private func pause() {
    usleep(UInt32(every.truncatingRemainder(dividingBy: 1) * 1e6))
    sleep(UInt32(every))
  }

  private func fetch(_ name: String, from source: Store) throws {
    let outcome = try Store.fetch(name, from: source, to: to)
    try report.print(StoreFetchOutput(from: source.name, to: to, name: name, outcome))
  }

  /// Returns the versions that the destination lacks of those that descend from a followed one, each
  /// after its parent; all descendants are followed from now on.
  private func following(
    _ followed: inout [String: Fingerprint], _ index: StoreIndex
  ) throws(DiffError) -> [String] {
    let here = try Store(to).index
    var line: Set<String> = []
    var new: [String] = []
    for version in index.versions {
      let follows = version.parent.map { line.contains($0) } ?? false
      guard follows || followed[version.name] == version.fingerprint else { continue }
      line.insert(version.name)
      followed[version.name] = version.fingerprint
      if here[version.name]?.fingerprint != version.fingerprint { new.append(version.name) }
    }
    return new
  }
}

extension DiffError {
  /// True if the same attempt may succeed later: a server does not respond, or another process is
  /// changing one of the stores.
  fileprivate var mayPass: Bool { remedy == .tryLater || code == .locked || code == .changed }
}

/// The output of `store fetch` for a version.
private struct StoreFetchOutput: CommandOutput {
  let from, to, name: String
  /// The new versions in the folder, each after its parent.
  let versions: [String]
  let links, anchors: Int
  /// The number of bytes that were fetched.
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
    let fetched = parts.isEmpty ? "there already" : parts.joined(separator: " and ")
    return "\(to): '\(name)', \(fetched)\(parts.isEmpty ? "" : ", \(bytes.bytes)")"
      .escapingControls + "\n"
  }
}
