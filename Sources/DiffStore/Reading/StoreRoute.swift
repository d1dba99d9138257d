import DiffOperations
import TensorCore

/// A route to a version of a store, from a checkpoint or from an anchor along links.
struct StoreRoute: Equatable {
  /// A link, by the index of the version that it leads to, and whether it is reverted.
  struct Step: Equatable {
    let link: Int
    let isBackwards: Bool
  }

  /// The cost of beginning with an anchor.
  enum AnchorCost {
    /// None: something as large would be read instead.
    case none
    /// All bytes of the anchor.
    case bytes
  }

  /// The index of the version that the route begins with.
  private(set) var begin: Int
  /// True if it begins with the version's anchor, false if with the checkpoint.
  private(set) var isFromAnchor: Bool
  private(set) var steps: [Step] = []
  /// The number of bytes of links and anchors that are read.
  private(set) var cost: UInt64

  /// Finds the route with the fewest bytes to read: from any version with the fingerprint of the
  /// checkpoint, or from any anchor. Exact links are followed in both directions, others only forwards.
  ///
  /// - Parameter fingerprint: that of the checkpoint; nil if there is none.
  /// - Complexity: O(versions).
  init?(
    from fingerprint: Fingerprint?, to end: Int, in index: StoreIndex, anchors: AnchorCost
  ) {
    let versions = index.versions
    var ways = [Way?](repeating: nil, count: versions.count)
    for number in versions.indices where versions[number].fingerprint == versions[end].fingerprint {
      ways[number] = Way(cost: 0)
    }
    func join(_ number: Int, _ next: Int, _ link: StoreLink) {
      guard let way = ways[next] else { return }
      let cost = [way.cost, link.file.size].clampedSum
      guard ways[number].map({ cost < $0.cost }) ?? true else { return }
      ways[number] = Way(cost: cost, next: next)
    }
    // Children follow their parents in the index: first the ways down, then those up and down again.
    for child in versions.indices.reversed() {
      guard let parent = index.parent(of: child), let link = versions[child].link else { continue }
      join(parent, child, link)
    }
    for child in versions.indices {
      guard let parent = index.parent(of: child), let link = versions[child].link,
        link.kind == .exact
      else { continue }
      join(child, parent, link)
    }
    var best: (begin: Int, isFromAnchor: Bool, cost: UInt64)?
    func offer(_ begin: Int, _ isFromAnchor: Bool, extra: UInt64 = 0) {
      guard let way = ways[begin] else { return }
      let cost = [way.cost, extra].clampedSum
      if best.map({ cost < $0.cost }) ?? true { best = (begin, isFromAnchor, cost) }
    }
    if versions[end].fingerprint == fingerprint { offer(end, false) }
    for number in versions.indices where versions[number].fingerprint == fingerprint {
      offer(number, false)
    }
    for number in versions.indices {
      guard let anchor = versions[number].anchor else { continue }
      offer(number, true, extra: anchors == .bytes ? anchor.size : 0)
    }
    guard let best else { return nil }
    (begin, isFromAnchor, cost) = best
    var at = begin
    while let next = ways[at]?.next {
      steps.append(
        index.parent(of: next) == at
          ? Step(link: next, isBackwards: false) : Step(link: at, isBackwards: true))
      at = next
    }
  }

  /// The way from a version to the end: its cost, and the version after the first link.
  private struct Way {
    var cost: UInt64
    var next: Int?
  }

  /// Returns the links between two versions of one tree, whatever their kind; nil if there are none.
  static func steps(from begin: Int, to end: Int, in index: StoreIndex) -> [Step]? {
    let up = index.ancestry(of: begin)
    let down = index.ancestry(of: end)
    let heights = Dictionary(uniqueKeysWithValues: up.enumerated().map { ($1, $0) })
    guard let meeting = down.firstIndex(where: { heights[$0] != nil }),
      let turn = heights[down[meeting]]
    else { return nil }
    return up[..<turn].map { Step(link: $0, isBackwards: true) }
      + down[..<meeting].reversed().map { Step(link: $0, isBackwards: false) }
  }
}
