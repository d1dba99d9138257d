import Algorithms
import TensorCore

/// A borrowed run of changes to a tensor: ascending positions with their values.
///
/// Positions are offsets from a start, so that they take 32 bits. A diff stores bytes
/// (`ChangeView<UInt8>`), `DiffEntry.valueWidth` of them for each change; arithmetic uses
/// `ChangeView<Double>`. Taking a part of a view copies nothing.
///
///     var pages = diff.pages(of: entry)
///     while let changes = try pages.next() {
///       for i in 0..<changes.count { print(changes.position(i)) }
///     }
public struct ChangeView<Value: BitwiseCopyable>: ~Escapable {
  /// The position that offsets are relative to; in a page, the position of its first change.
  public let start: UInt64
  /// The positions minus `start`, ascending.
  public let offsets: Span<UInt32>
  /// `width` values for each offset, in the same order; bytes are little-endian.
  public let values: Span<Value>
  /// The number of values of a change.
  public let width: Int

  /// Creates a view of changes at `start + offsets[i]`, each with the same number of values.
  @_lifetime(copy offsets, copy values)
  public init(at start: UInt64, _ offsets: Span<UInt32>, _ values: Span<Value>) {
    self.start = start
    self.offsets = offsets
    self.values = values
    width = offsets.isEmpty ? 1 : values.count / offsets.count
    precondition(values.count == offsets.count * width, "values that belong to no change")
  }

  /// The number of changes.
  public var count: Int { offsets.count }

  /// True if there are no changes.
  public var isEmpty: Bool { offsets.isEmpty }

  /// The position after the last change; `start` if there are no changes.
  public var end: UInt64 { offsets.isEmpty ? start : position(count - 1) + 1 }

  /// Returns the position of a change.
  public func position(_ index: Int) -> UInt64 { start + UInt64(offsets[index]) }

  /// Returns the changes with these indices.
  @_lifetime(copy self)
  public func extracting(_ indices: Range<Int>) -> ChangeView {
    ChangeView(
      at: start, offsets.extracting(indices),
      values.extracting(indices.lowerBound * width..<indices.upperBound * width))
  }

  /// Returns the changes to a range of elements. O(log count).
  @_lifetime(copy self)
  public func sliced(to elements: Range<UInt64>) -> ChangeView {
    extracting(indices(of: elements))
  }

  /// Returns the indices of the changes to a range of elements. O(log count).
  public func indices(of elements: Range<UInt64>) -> Range<Int> {
    guard start < elements.upperBound && end > elements.lowerBound else { return 0..<0 }
    func index(of position: UInt64) -> Int {
      offsets.indices.partitioningIndex { start + UInt64(offsets[$0]) >= position }
    }
    return index(of: elements.lowerBound)..<index(of: elements.upperBound)
  }
}
