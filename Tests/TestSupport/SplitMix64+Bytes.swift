import Kernels
import TensorCore

extension SplitMix64 {
  /// Bytes at random.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}
