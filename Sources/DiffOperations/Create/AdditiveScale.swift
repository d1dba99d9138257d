import DiffFormat
import TensorCore

extension DiffEntry {
  /// The power of two that brings the largest change of a tensor near the top of float16, so
  /// that as many small ones as possible stay normal; the other types have range enough.
  package static func scale(
    forLargest most: Double, _ values: FloatType, in tensor: FloatType
  ) -> Int {
    guard values == .f16, most > 0 else { return 0 }
    let range = DiffEntry.scales(of: tensor)
    return Swift.min(Swift.max(Int(most.exponent) - 14, range.lowerBound), range.upperBound)
  }
}
