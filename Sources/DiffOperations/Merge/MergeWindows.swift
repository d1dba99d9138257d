import DiffFormat

/// A range of a tensor that is merged at once.
struct MergeWindow: Sendable {
  /// The number of the tensor among those worked on.
  var tensor: Int
  var elements: Range<UInt64>
}

extension MergeTensor {
  /// Cuts the tensor into windows that hold about `limit` changes each, so that memory is bounded
  /// whatever the number of diffs; pages that reach over a cut are decoded for both sides. At
  /// least one window, which may be empty.
  ///
  /// - Complexity: O(n log n) in pages.
  func windows(_ number: Int, limit: UInt64) -> [MergeWindow] {
    // Offsets in a window have 32 bits.
    let widest: UInt64 = 1 << 31
    if changes <= limit && shape.count <= widest {
      return [MergeWindow(tensor: number, elements: 0..<shape.count)]
    }
    // Changes per element begin and end with the pages.
    var steps: [(at: UInt64, density: Double)] = []
    for page in terms.lazy.flatMap(\.additions.pages) {
      let density = Double(page.count) / Double(page.span)
      steps.append((page.start, density))
      steps.append((page.end, -density))
    }
    steps.sort { $0.at < $1.at }
    var windows: [MergeWindow] = []
    var start: UInt64 = 0
    func cut(at end: UInt64) {
      while start < end {
        let to = min(end, start + widest)
        windows.append(MergeWindow(tensor: number, elements: start..<to))
        start = to
      }
    }
    var density = 0.0
    var gathered = 0.0
    var at: UInt64 = 0
    var active = 0
    for step in steps {
      if active == 0 {
        // Nothing is here; a wide gap belongs to no window.
        if step.at - at > widest {
          cut(at: at)
          start = step.at
          gathered = 0
        }
        (at, density) = (step.at, 0)
      }
      while density > 0 && gathered + density * Double(step.at - at) > Double(limit) {
        at = min(step.at, at + UInt64(max(1, (Double(limit) - gathered) / density)))
        cut(at: at)
        gathered = 0
      }
      gathered += max(0, density) * Double(step.at - at)
      at = step.at
      density += step.density
      active += step.density > 0 ? 1 : -1
    }
    cut(at: at)
    return windows.isEmpty ? [MergeWindow(tensor: number, elements: 0..<0)] : windows
  }
}
