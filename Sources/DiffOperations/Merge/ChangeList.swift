import CKernels
import DiffFormat
import Platform
import TensorCore

/// Changes as offsets and numbers, in room that is used again for the next ones. One thread at a
/// time may append; several may read what stands there as long as none does.
@safe final class ChangeList: @unchecked Sendable {
  /// How many there are.
  private(set) var count = 0
  private var capacity = 0
  private var at: UnsafeMutablePointer<UInt32>?
  private var numbers: UnsafeMutablePointer<Double>?

  /// An empty list.
  init() {}

  deinit {
    unsafe free(at)
    unsafe free(numbers)
  }

  /// Forgets all changes, and keeps the room.
  func removeAll() { count = 0 }

  /// Makes room for so many more changes.
  func reserve(_ more: Int) {
    guard count + more > capacity else { return }
    // What is not used of large room takes no memory.
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

  /// Appends changes whose offsets count from where those of the list do.
  func append(_ changes: ChangeView<Double>) {
    precondition(changes.values.count == changes.count)
    let count = changes.count
    unsafe append(changes) { offsets, values, at, numbers in
      unsafe at.update(from: offsets, count: count)
      unsafe numbers.update(from: values, count: count)
    }
  }

  /// Makes room for changes; `body` brings them from their offsets and values to there.
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

  /// Those of a range for which `isKept` holds move to its beginning; returns how many.
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

  /// The changes of a range.
  ///
  /// - Parameter start: The position that the offsets of the list count from.
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

  /// What kernels take for the changes of a range; to be used as long as nothing is appended.
  func run(_ range: Range<Int>) -> dk_merge_run {
    precondition(range.upperBound <= count)
    return unsafe dk_merge_run(
      at: at.map { unsafe UnsafePointer($0 + range.lowerBound) },
      values: numbers.map { unsafe UnsafePointer($0 + range.lowerBound) }, count: range.count)
  }
}

/// Ranges of lists of changes, each in ascending order of offsets, in the order in which what is
/// changed by several is summed. The lists must not be appended to as long as this is used.
struct ChangeRuns: Sendable {
  fileprivate private(set) var runs: [(list: ChangeList, range: Range<Int>)] = []
  /// What a change adds to the channels of a block, for each run: see `MergeBlock.add`.
  fileprivate private(set) var terms: [Double] = []
  /// The largest factor of each run's changes in any channel.
  private var factors: [Double] = []
  /// How many changes there are.
  private(set) var count = 0
  /// The largest magnitude that a change adds to a channel.
  private(set) var largest = 0.0

  /// No changes.
  init() {}

  /// Adds a run.
  ///
  /// - Parameter largest: The largest magnitude of its changes.
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

  /// The most that rounding can leave of the changes at an offset where they cancel.
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

/// Where the summing of runs is, block by block.
@safe struct ChangeCursor {
  private let runs: ChangeRuns
  /// What is left of each run.
  var left: [dk_merge_run]
  /// How many changes there are from here on.
  let count: Int
  /// The least offset that was not summed yet.
  var next: UInt32?

  /// What a change adds to the channels of a block, for each run.
  var terms: [Double] { runs.terms }

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
}
