import DiffFormat
import TensorCore

/// How additions become stored values.
enum AdditiveValues {
  /// The power of two that brings the largest change of a tensor near the top of float16, so
  /// that as many small ones as possible stay normal; the other types have range enough.
  static func scale(_ most: Double, _ values: FloatType, _ tensor: FloatType) -> Int {
    guard values == .f16, most > 0 else { return 0 }
    let range = DiffEntry.scales(of: tensor)
    return min(max(Int(most.exponent) - 14, range.lowerBound), range.upperBound)
  }

  /// Additions as stored values, little-endian.
  static func narrow(_ deltas: [Double], _ type: FloatType, _ scale: Int) -> [UInt8] {
    var values = [UInt8](repeating: 0, count: deltas.count * type.width)
    var bytes = values.mutableSpan
    Kernels.narrow(deltas.span, type, factor: .powerOfTwo(-scale), into: &bytes)
    return values
  }
}
