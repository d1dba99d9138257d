import Algorithms
import TensorCore

/// A run of changes to a tensor, borrowed: ascending positions, and the values of each.
///
/// Positions are offsets from a start, so that they take 32 bits. What a diff stores are bytes
/// (`ChangeView<UInt8>`), as many for each change as `DiffEntry.valueWidth` says; arithmetic works
/// on `ChangeView<Double>`. Taking part of a view copies nothing.
///
///     var pages = diff.pages(of: entry)
///     while let changes = try pages.next() {
///       for i in 0..<changes.count { print(changes.position(i)) }
///     }
public struct ChangeView<Value: BitwiseCopyable>: ~Escapable {
  /// The position that offsets count from; in a page, that of its first change.
  public let start: UInt64
  /// Positions less `start`, ascending.
  public let offsets: Span<UInt32>
  /// `width` values for each offset, in the same order; bytes are little-endian.
  public let values: Span<Value>
  /// Values of a change.
  public let width: Int

  /// Changes at `start + offsets[i]`; the values of all are equally many.
  @_lifetime(copy offsets, copy values)
  public init(at start: UInt64, _ offsets: Span<UInt32>, _ values: Span<Value>) {
    self.start = start
    self.offsets = offsets
    self.values = values
    width = offsets.isEmpty ? 1 : values.count / offsets.count
    precondition(values.count == offsets.count * width, "values that belong to no change")
  }

  /// How many changes there are.
  public var count: Int { offsets.count }

  /// Whether there are none.
  public var isEmpty: Bool { offsets.isEmpty }

  /// The position after the last change; `start` if there is none.
  public var end: UInt64 { offsets.isEmpty ? start : position(count - 1) + 1 }

  /// The position of a change.
  public func position(_ index: Int) -> UInt64 { start + UInt64(offsets[index]) }

  /// The changes with these indices.
  @_lifetime(copy self)
  public func extracting(_ indices: Range<Int>) -> ChangeView {
    ChangeView(
      at: start, offsets.extracting(indices),
      values.extracting(indices.lowerBound * width..<indices.upperBound * width))
  }

  /// The changes to a range of elements. O(log count).
  @_lifetime(copy self)
  public func sliced(to elements: Range<UInt64>) -> ChangeView {
    extracting(indices(of: elements))
  }

  /// The indices of the changes to a range of elements. O(log count).
  public func indices(of elements: Range<UInt64>) -> Range<Int> {
    guard start < elements.upperBound && end > elements.lowerBound else { return 0..<0 }
    func index(of position: UInt64) -> Int {
      offsets.indices.partitioningIndex { start + UInt64(offsets[$0]) >= position }
    }
    return index(of: elements.lowerBound)..<index(of: elements.upperBound)
  }
}
