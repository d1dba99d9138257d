/// What dropout sets to zero in one place of a model for one batch.
package struct DropoutMask: Sendable {
  /// Chooses the elements.
  package var key: UInt64
  /// The share that is dropped, 0 ..< 1.
  package var rate: Float
  /// How many elements of the batch come before: those of the rows that other ranks read.
  package var start: Int

  package init(key: UInt64, rate: Float, start: Int = 0) {
    precondition(rate >= 0 && rate < 1)
    self.key = key
    self.rate = rate
    self.start = start
  }

  /// Nothing.
  package static let none = DropoutMask(key: 0, rate: 0)
}
