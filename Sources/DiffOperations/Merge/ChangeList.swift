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
    reserve(changes.count)
    let shift = changes.shift(to: origin)
    unsafe changes.offsets.withUnsafeBufferPointer { offsets in
      unsafe changes.values.withUnsafeBufferPointer { values in
        guard let from = offsets.baseAddress, let bytes = values.baseAddress,
          let at = unsafe at, let numbers = unsafe numbers
        else { return }
        _ = unsafe dk_rebase(from, offsets.count, shift, at + count)
        unsafe dk_widen(bytes, type.rawValue, offsets.count, factor, numbers + count)
      }
    }
    count += changes.count
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
    reserve(changes.count)
    let (at, to, count) = unsafe (self.at, self.numbers, self.count)
    unsafe changes.offsets.withUnsafeBufferPointer {
      guard let from = $0.baseAddress else { return }
      unsafe at?.advanced(by: count).update(from: from, count: $0.count)
    }
    unsafe changes.values.withUnsafeBufferPointer {
      guard let from = $0.baseAddress else { return }
      unsafe to?.advanced(by: count).update(from: from, count: $0.count)
    }
    self.count += changes.count
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
