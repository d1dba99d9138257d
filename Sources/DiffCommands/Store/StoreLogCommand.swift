import ArgumentParser
import DiffOperations
import DiffStore
import TensorCore

/// `diffkit store log`.
struct StoreLogCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "Show the versions of a store: the tree, sizes, densities, times, scores.",
    discussion: """
      Reads only the index. The last lines compare the store with a full copy of every version.

        diffkit store log runs
      """)

  @OptionGroup var store: StoreArgument
  @OptionGroup var json: JSONOption

  func run() throws {
    try store.with { store in try StoreLogOutput(store).print(json: json.json) }
  }
}

/// The output of `store log`.
struct StoreLogOutput: CommandOutput {
  struct Version: Encodable {
    let name, fingerprint: String
    let named: Bool
    let parent: String?
    /// `exact` or `additive`.
    let kind: String?
    /// The size of the link in bytes, the changes in it, and their share of all elements.
    let size, changes: UInt64?
    let density: Double?
    /// The size of the full checkpoint in bytes, if there is one.
    let anchor: UInt64?
    /// Seconds since 1970.
    let time: UInt64
    let metadata: [String: String]
    /// The number of forks above it.
    let depth: Int

    init(_ version: StoreVersion, depth: Int) {
      name = version.name
      fingerprint = version.fingerprint.description
      named = version.isNamed
      parent = version.parent
      kind = version.link?.kind.rawValue
      size = version.link?.file.size
      changes = version.link?.changes
      density = version.link.map { Double($0.changes) / Double(max(1, $0.elements)) }
      anchor = version.anchor?.size
      time = version.time
      metadata = version.metadata
      self.depth = depth
    }

    var scores: String {
      metadata.filter { $0.key.hasPrefix("score.") }.sorted { $0.key < $1.key }
        .map { key, value in
          let isLong = value.utf8.count > 6
          return "\(key.dropFirst("score.".count)) "
            + (isLong ? Double(value)?.fixed(4) ?? value : value)
        }.joined(separator: ", ")
    }
  }

  let path: String
  let generation: UInt64
  let versions: [Version]
  /// The size in bytes of all links and anchors, and of full copies of all versions.
  let stored, full: UInt64

  init(_ store: Store) {
    path = store.name
    let index = store.index
    generation = index.generation
    var children: [String: Int] = [:]
    for version in index.versions {
      if let parent = version.parent { children[parent, default: 0] += 1 }
    }
    var depths: [String: Int] = [:]
    var sizes: [String: UInt64] = [:]
    var versions: [Version] = []
    var (stored, full): (UInt64, UInt64) = (0, 0)
    versions.reserveCapacity(index.versions.count)
    for version in index.versions {
      let parent = version.parent ?? ""
      let depth = (depths[parent] ?? 0) + (children[parent, default: 0] > 1 ? 1 : 0)
      depths[version.name] = depth
      let size = version.anchor?.size ?? sizes[parent] ?? 0
      sizes[version.name] = size
      full = [full, size].clampedSum
      stored = [stored, version.link?.file.size ?? 0, version.anchor?.size ?? 0].clampedSum
      versions.append(Version(version, depth: depth))
    }
    (self.versions, self.stored, self.full) = (versions, stored, full)
  }

  var text: String {
    var table = TextTable(
      ["version", "from", "kind", "changes", "density", "bytes", "anchor", "added", "scores"],
      rightAligned: [3, 4, 5, 6], shrinking: [0, 1, 8])
    for version in versions {
      table.add([
        String(repeating: "  ", count: min(version.depth, 20)) + version.name
          + (version.named ? "" : " *"),
        version.parent ?? "–", version.kind ?? "–", version.changes?.grouped ?? "–",
        version.density?.percent ?? "–", version.size?.bytes ?? "–", version.anchor?.bytes ?? "–",
        version.time.date, version.scores,
      ])
    }
    let times = stored == 0 ? 0 : Double(full) / Double(stored)
    return table.text + "\n"
      + fieldLines([
        ("versions", UInt64(versions.count).grouped), ("store", stored.bytes),
        ("full copies", "\(full.bytes), \(times.fixed(times < 9.95 ? 2 : 1)) times as much"),
      ])
  }
}

extension UInt64 {
  /// `2026-11-26 14:30`, of seconds since 1970, in UTC. By the method of Howard Hinnant ("chrono-
  /// Compatible Low-Level Date Algorithms"): years that begin in March end with the leap day.
  fileprivate var date: String {
    guard self < 1 << 40 else { return "–" }
    let days = Int(self / 86_400) + 719_468
    let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
    let year = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
    let march = (5 * dayOfYear + 2) / 153
    let month = march < 10 ? march + 3 : march - 9
    let day = dayOfYear - (153 * march + 2) / 5 + 1
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year + era * 400 + (month <= 2 ? 1 : 0))-\(two(month))-\(two(day)) "
      + "\(two(Int(self / 3600 % 24))):\(two(Int(self / 60 % 60)))"
  }
}
