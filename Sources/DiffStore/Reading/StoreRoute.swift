import DiffOperations
import TensorCore

/// A route to a version of a store: from another one along links, or from an anchor.
struct StoreRoute: Equatable {
  /// A link, by the index of the version that it leads to, and whether it is reverted.
  struct Step: Equatable {
    let link: Int
    let isBackwards: Bool
  }

  /// The index of the version whose anchor the route begins with; nil if it begins with the
  /// checkpoint.
  var anchor: Int?
  var steps: [Step] = []
  /// The number of bytes of links and anchors that are read.
  var cost: UInt64 = 0

  /// Finds the cheapest route.
  ///
  /// - Parameters:
  ///   - begin: the version of the checkpoint.
  ///   - copies: whether a new checkpoint is written, so that an anchor is read instead of the
  ///     present checkpoint, not in addition to it.
  init(from begin: Int, to end: Int, in index: StoreIndex, copies: Bool) {
    let restart = StoreRoute(fromAnchorTo: end, in: index, isExtra: !copies)
    guard let direct = StoreRoute(along: index, from: begin, to: end) else {
      self = restart
      return
    }
    self = restart.cost < direct.cost ? restart : direct
  }

  /// Finds the route from the nearest anchor.
  init(fromAnchorTo end: Int, in index: StoreIndex, isExtra: Bool = false) {
    let (anchor, links) = index.descent(to: end)
    self.anchor = anchor
    if isExtra { cost = index.versions[anchor].anchor?.size ?? 0 }
    for link in links { append(link, isBackwards: false, index) }
  }

  /// Finds the route along the tree; returns nil if the two versions have no common ancestor.
  private init?(along index: StoreIndex, from begin: Int, to end: Int) {
    let up = index.ancestry(of: begin)
    let down = index.ancestry(of: end)
    let heights = Dictionary(uniqueKeysWithValues: up.enumerated().map { ($1, $0) })
    guard let meeting = down.firstIndex(where: { heights[$0] != nil }),
      let turn = heights[down[meeting]]
    else { return nil }
    for link in up[..<turn] { append(link, isBackwards: true, index) }
    for link in down[..<meeting].reversed() { append(link, isBackwards: false, index) }
  }

  private mutating func append(_ link: Int, isBackwards: Bool, _ index: StoreIndex) {
    steps.append(Step(link: link, isBackwards: isBackwards))
    guard let stored = index.versions[link].link else { return }
    cost = cost.clampedAdding(stored.file.size)
    guard isBackwards, stored.kind != .exact, let parent = index.parent(of: link) else { return }
    // The old values are read from the parent.
    cost = cost.clampedAdding(stored.changes.clampedAdding(stored.changes))
    for between in index.descent(to: parent).links {
      cost = cost.clampedAdding(index.versions[between].link?.file.size ?? 0)
    }
  }
}

extension UInt64 {
  fileprivate func clampedAdding(_ other: UInt64) -> UInt64 { [self, other].clampedSum }
}
