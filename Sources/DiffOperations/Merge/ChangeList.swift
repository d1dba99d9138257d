import CKernels
import DiffFormat
import Platform
import TensorCore

/// A list of changes as offsets and numbers, whose memory is reused. Only one thread may append at
/// a time; several may read while none appends.
@safe final class ChangeList: @unchecked Sendable {
  /// The number of changes.
  private(set) var count = 0
  private var capacity = 0
  private var at: UnsafeMutablePointer<UInt32>?
  private var numbers: UnsafeMutablePointer<Double>?

  /// Creates an empty list.
  init() {}

  deinit {
    unsafe free(at)
    unsafe free(numbers)
  }

  /// Removes all changes, keeping the capacity.
  func removeAll() { count = 0 }

  /// Reserves capacity for `more` further changes.
  func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    // Unused pages of a large allocation take no memory.
    capacity = max(count + more, 2 * capacity)
    unsafe at = realloc(at, capacity * 4)?.assumingMemoryBound(to: UInt32.self)
    unsafe numbers = realloc(numbers, capacity * 8)?.assumingMemoryBound(to: Double.self)
    guard unsafe at != nil, unsafe numbers != nil else { fatalError("out of memory") }
  }

  /// Appends stored changes: their positions less `origin`, and their values times `factor`.
  func append(
    _ changes: ChangeView<UInt8>, from origin: UInt64, _ type: FloatType, factor: Double
  ) {
    precondition(changes.values.count == changes.count * type.width)
    let (count, shift) = (changes.count, changes.shift(to: origin))
    unsafe append(changes) { offsets, values, at, numbers in
      _ = unsafe dk_rebase(offsets, count, shift, at)
      unsafe dk_widen(values, type.rawValue, count, factor, numbers)
    }
  }

  /// Appends one change.
  func append(_ offset: UInt32, _ number: Double) {
    reserve(1)
    unsafe at?[count] = offset
    unsafe numbers?[count] = number
    count += 1
  }

  /// Appends changes whose offsets have the same origin as those of the list.
  func append(_ changes: ChangeView<Double>) {
    precondition(changes.values.count == changes.count)
    let count = changes.count
    unsafe append(changes) { offsets, values, at, numbers in
      unsafe at.update(from: offsets, count: count)
      unsafe numbers.update(from: values, count: count)
    }
  }

  /// Reserves capacity for changes and calls `body` to copy their offsets and values.
  private func append<Value>(
    _ changes: ChangeView<Value>,
    _ body: (
      UnsafePointer<UInt32>, UnsafePointer<Value>, UnsafeMutablePointer<UInt32>,
      UnsafeMutablePointer<Double>
    ) -> Void
  ) {
    reserve(changes.count)
    unsafe changes.offsets.withUnsafeBufferPointer { offsets in
      unsafe changes.values.withUnsafeBufferPointer { values in
        guard let offsets = offsets.baseAddress, let values = values.baseAddress,
          let at = unsafe at, let numbers = unsafe numbers
        else { return }
        unsafe body(offsets, values, at + count, numbers + count)
      }
    }
    count += changes.count
  }

  /// Moves the changes of a range that satisfy `isKept` to its beginning; returns their number.
  func keep(
    _ range: Range<Int>, where isKept: (Double) -> Bool
  ) -> Int {
    precondition(range.upperBound <= count)
    guard let at = unsafe at, let numbers = unsafe numbers else { return 0 }
    var kept = range.lowerBound
    for i in range where unsafe isKept(numbers[i]) {
      unsafe at[kept] = at[i]
      unsafe numbers[kept] = numbers[i]
      kept += 1
    }
    return kept - range.lowerBound
  }

  /// Returns the changes of a range.
  ///
  /// - Parameter start: the position that the offsets of the list are relative to.
  @_lifetime(borrow self)
  func changes(_ range: Range<Int>, at start: UInt64 = 0) -> ChangeView<Double> {
    precondition(range.upperBound <= count)
    let offsets = unsafe UnsafeBufferPointer(
      start: at.map { unsafe $0 + range.lowerBound }, count: range.count)
    let values = unsafe UnsafeBufferPointer(
      start: numbers.map { unsafe $0 + range.lowerBound }, count: range.count)
    return unsafe _overrideLifetime(
      ChangeView(at: start, offsets.span, values.span), borrowing: self)
  }

  /// Returns the changes of a range as an argument of kernels, valid until changes are appended.
  func run(_ range: Range<Int>) -> dk_merge_run {
    precondition(range.upperBound <= count)
    return unsafe dk_merge_run(
      at: at.map { unsafe UnsafePointer($0 + range.lowerBound) },
      values: numbers.map { unsafe UnsafePointer($0 + range.lowerBound) }, count: range.count)
  }
}

/// Runs of changes, each a range of a list in ascending order of offsets, in the order of
/// summation. The lists must not be appended to while the runs are used.
struct ChangeRuns: Sendable {
  fileprivate private(set) var runs: [(list: ChangeList, range: Range<Int>)] = []
  /// The terms that a change adds to the channels of a block, for each run: see `MergeBlock.add`.
  fileprivate private(set) var terms: [Double] = []
  /// The largest factor of the changes of each run in any channel.
  private var factors: [Double] = []
  /// The number of changes.
  private(set) var count = 0
  /// The largest magnitude that a change adds to a channel.
  private(set) var largest = 0.0

  /// Creates an empty list of runs.
  init() {}

  /// Adds a run.
  ///
  /// - Parameter largest: the largest magnitude of its changes.
  mutating func append(
    _ list: ChangeList, _ range: Range<Int>, terms: [Double], largest: Double
  ) {
    runs.append((list, range))
    self.terms += terms
    let factor =
      terms.isEmpty
      ? 1 : stride(from: 1, to: terms.count, by: 3).reduce(0) { max($0, terms[$1].magnitude) }
    factors.append(factor)
    self.largest = max(self.largest, largest * factor)
    count += range.count
  }

  /// Returns the bound of the rounding error of the sum at an offset where changes cancel.
  ///
  /// - Complexity: O(runs · log changes).
  func rounding(at offset: UInt32) -> Double {
    var magnitudes = 0.0
    var terms = 1.0
    for (run, factor) in zip(runs, factors) {
      let changes = run.list.changes(run.range)
      for index in changes.indices(of: UInt64(offset)..<UInt64(offset) + 1) {
        magnitudes += changes.values[index].magnitude * factor
        terms += 1
      }
    }
    return magnitudes * terms * 0x1p-52
  }
}

/// The progress of summing runs, block by block.
@safe struct ChangeCursor {
  private let runs: ChangeRuns
  /// The rest of each run.
  var left: [dk_merge_run]
  /// The number of changes at creation.
  let count: Int
  /// The least offset that is not yet summed.
  var next: UInt32?

  /// The terms that a change adds to the channels of a block, for each run.
  var terms: [Double] { runs.terms }

  /// Creates a cursor over the changes whose offsets are in a range. O(runs · log changes).
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
}
