import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// What diffs change in a tensor in memory: elements, in runs that a core takes at a time.
struct TensorPatch: Sendable {
  let bytes: ResidentBytes
  private let width: Int
  /// The elements with the diffs, and without them.
  private let runs: [Differences]

  /// Which elements a tensor holds where it is patched.
  enum Side { case base, result }

  var changes: UInt64 { runs.reduce(0) { $0 + UInt64($1.changes.count) } }

  /// Decodes the entries of a plan and computes the elements that they leave in `bytes`, which
  /// are at the base, or changed from it by another patch.
  ///
  /// - Complexity: O(changes) for a single entry, O(n log n) for several.
  init(
    _ plan: TensorPlan, _ bytes: ResidentBytes, under other: TensorPatch?
  ) throws(DiffError) {
    let width = plan.type.width
    var runs: [Differences] = []
    var patch = plan.patch
    for (start, offsets, _) in try Self.positions(plan.entries).runs() {
      let elements = start..<start + UInt64(offsets[offsets.count - 1]) + 1
      let region = bytes.span.extracting(
        Int(elements.lowerBound) * width..<Int(elements.upperBound) * width)
      var run = ChangeRun(
        at: start, offsets, Kernels.gathered(region, width: width, at: offsets.span))
      other?.restore(&run)
      let old = run.values
      try patch.move(to: elements)
      patch.apply(to: &run.values, elements, at: offsets)
      runs.append(Differences(run, old: old))
    }
    self.bytes = bytes
    self.width = width
    self.runs = runs
  }

  /// The positions that any of the entries changes, ascending, each once.
  private static func positions(_ entries: [DirectedEntry]) throws(DiffError) -> [UInt64] {
    var positions: [UInt64] = []
    var page = PageBuffer()
    for directed in entries {
      for info in directed.entry.pages[.changes] ?? [] {
        try page.load(info, of: directed.entry, from: directed.reader.source)
        positions.append(contentsOf: page.changes)
      }
    }
    guard entries.count > 1 else { return positions }
    positions.sort()
    var distinct: [UInt64] = []
    for position in positions where distinct.last != position { distinct.append(position) }
    return distinct
  }

  /// Brings the base's elements into those that were read from the tensor. O(changes + elements).
  func restore(_ read: inout ChangeRun<UInt8>) {
    guard !read.isEmpty else { return }
    let elements = read.start..<read.view.end
    var mine = 0
    for run in runs {
      let changes = run.changes.view
      for index in changes.indices(of: elements) {
        let offset = changes.position(index) - read.start
        while mine < read.count && UInt64(read.offsets[mine]) < offset { mine += 1 }
        guard mine < read.count else { return }
        guard UInt64(read.offsets[mine]) == offset else { continue }
        for byte in 0..<width { read.values[mine * width + byte] = run.old[index * width + byte] }
      }
    }
  }

  /// The runs: different ones may be stored by different threads.
  var runIndices: Range<Int> { runs.indices }

  /// Brings the result's elements of a run into the tensor, or those of the base back.
  func store(_ side: Side, run index: Int) {
    let changes = runs[index].changes
    let values = side == .result ? changes.values : runs[index].old
    let count = Int(changes.view.end - changes.start)
    bytes.change(at: Int(changes.start) * width, count: count * width) { span in
      ChangeView(at: 0, changes.offsets.span, values.span).scatter(.replace, into: &span, at: 0)
    }
  }
}
