import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// The changes of diffs to a tensor in memory, in runs that different cores can store.
struct TensorPatch: Sendable {
  let bytes: ResidentBytes
  private let width: Int
  /// The elements of the result and of the base.
  private let runs: [Differences]

  /// The elements that a tensor holds at its changed positions.
  enum Side { case base, result }

  var changes: UInt64 { runs.reduce(0) { $0 + UInt64($1.changes.count) } }

  /// Decodes the entries of a plan and computes the elements of the result from `bytes`, which hold
  /// the base, or the base changed by another patch.
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
      let range = bytes.span.extracting(
        Int(elements.lowerBound) * width..<Int(elements.upperBound) * width)
      var run = ChangeRun(
        at: start, offsets, Kernels.gathered(range, width: width, at: offsets.span))
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

  /// Returns the distinct positions that any of the entries changes, ascending.
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

  /// Restores the base's elements in a run that was read from the tensor. O(changes + elements).
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

  /// The indices of the runs, which may be stored by different threads.
  var runIndices: Range<Int> { runs.indices }

  /// Writes the elements of a run, of the result or of the base, into the tensor.
  func store(_ side: Side, run index: Int) {
    let changes = runs[index].changes
    let values = side == .result ? changes.values : runs[index].old
    let count = Int(changes.view.end - changes.start)
    bytes.change(at: Int(changes.start) * width, count: count * width) { span in
      ChangeView(at: 0, changes.offsets.span, values.span).scatter(.replace, into: &span, at: 0)
    }
  }
}
