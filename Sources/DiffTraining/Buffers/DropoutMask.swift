/// The elements that one dropout operation of a model sets to zero in one batch.
package struct DropoutMask: Sendable {
  /// The key that determines the elements.
  package var key: UInt64
  /// The share that is dropped, 0 ..< 1.
  package var rate: Float
  /// The number of elements of the batch before these: those of the rows that other ranks read.
  package var start: Int

  package init(key: UInt64, rate: Float, start: Int = 0) {
    precondition(rate >= 0 && rate < 1)
    self.key = key
    self.rate = rate
    self.start = start
  }

  /// A mask that drops nothing.
  package static let none = DropoutMask(key: 0, rate: 0)
}
