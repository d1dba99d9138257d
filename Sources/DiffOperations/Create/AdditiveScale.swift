import DiffFormat
import TensorCore

extension DiffEntry {
  /// Returns the power of two that brings the largest change of a tensor near the maximum of
  /// float16, so that as many small changes as possible stay normal; 0 for the other types, whose
  /// range suffices.
  package static func scale(
    forLargest most: Double, _ values: FloatType, in tensor: FloatType
  ) -> Int {
    guard values == .f16, most > 0 else { return 0 }
    let range = DiffEntry.scales(of: tensor)
    return Swift.min(Swift.max(Int(most.exponent) - 14, range.lowerBound), range.upperBound)
  }
}
