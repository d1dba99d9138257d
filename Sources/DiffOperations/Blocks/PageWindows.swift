import DiffFormat

extension Sequence<PageInfo> {
  /// Cuts a tensor into windows that hold about `limit` changes each, estimated from these pages,
  /// and at most `widest` elements, so that memory is bounded whatever the number of diffs. Pages
  /// that cross a cut belong to both windows.
  ///
  /// - Complexity: O(n log n) in pages.
  func windows(limit: UInt64, widest: UInt64) -> [Range<UInt64>] {
    // The density, in changes per element, is constant within a page.
    var steps: [(at: UInt64, density: Double)] = []
    for page in self {
      let density = Double(page.count) / Double(page.span)
      steps.append((page.start, density))
      steps.append((page.end, -density))
    }
    steps.sort { $0.at < $1.at }
    var windows: [Range<UInt64>] = []
    var start: UInt64 = 0
    func cut(at end: UInt64) {
      while start < end {
        let to = Swift.min(end, start + widest)
        windows.append(start..<to)
        start = to
      }
    }
    var density = 0.0
    var gathered = 0.0
    var at: UInt64 = 0
    var active = 0
    for step in steps {
      if active == 0 {
        // No page covers this range; a wide gap belongs to no window.
        if step.at - at > widest {
          cut(at: at)
          start = step.at
          gathered = 0
        }
        (at, density) = (step.at, 0)
      }
      while density > 0 && gathered + density * Double(step.at - at) > Double(limit) {
        at = Swift.min(step.at, at + UInt64(Swift.max(1, (Double(limit) - gathered) / density)))
        cut(at: at)
        gathered = 0
      }
      gathered += Swift.max(0, density) * Double(step.at - at)
      at = step.at
      density += step.density
      active += step.density > 0 ? 1 : -1
    }
    cut(at: at)
    return windows
  }
}
