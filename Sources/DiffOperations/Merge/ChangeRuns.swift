import CKernels
import TensorCore

/// Ranges of lists of changes, each in ascending order of offsets, in the order in which what is
/// changed by several is summed. The lists must not be appended to as long as this is used.
struct ChangeRuns: Sendable {
  fileprivate private(set) var runs: [(list: ChangeList, range: Range<Int>)] = []
  /// What a change adds to the channels of a block, for each run: see `MergeBlock.add`.
  fileprivate private(set) var terms: [Double] = []
  /// How many changes there are.
  private(set) var count = 0

  /// No changes.
  init() {}

  /// Adds a run.
  mutating func append(_ list: ChangeList, _ range: Range<Int>, terms: [Double]) {
    runs.append((list, range))
    self.terms += terms
    count += range.count
  }
}

/// Where the summing of runs is, block by block.
@safe struct ChangeCursor {
  private let runs: ChangeRuns
  private var left: [dk_merge_run]
  /// How many changes there are from here on.
  let count: Int
  /// The least offset that was not summed yet.
  private(set) var next: UInt32?

  /// Before the changes whose offsets lie in a range. O(runs · log changes).
  init(_ runs: ChangeRuns, in offsets: Range<UInt64>) {
    self.runs = runs
    unsafe left = []
    unsafe left.reserveCapacity(runs.runs.count)
    var count = 0
    for (list, range) in runs.runs {
      let changes = list.changes(range)
      let part = changes.indices(of: offsets)
      unsafe left.append(
        list.run(range.lowerBound + part.lowerBound..<range.lowerBound + part.upperBound))
      if let first = part.first { next = min(next ?? .max, changes.offsets[first]) }
      count += part.count
    }
    self.count = count
  }

  /// Calls `body` with what is left of the runs, and their terms, if there are; it returns what
  /// `next` will be.
  mutating func advance(
    _ body: (UnsafeMutablePointer<dk_merge_run>, Int, UnsafePointer<Double>?) -> UInt64
  ) {
    let next = unsafe left.withUnsafeMutableBufferPointer { left in
      unsafe runs.terms.withUnsafeBufferPointer { terms in
        guard let base = left.baseAddress else { return UInt64.max }
        return unsafe body(base, left.count, terms.isEmpty ? nil : terms.baseAddress)
      }
    }
    self.next = UInt32(exactly: next)
  }
}
