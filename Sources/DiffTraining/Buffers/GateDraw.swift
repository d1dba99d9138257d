import CKernels
import Kernels
import TensorCore

/// One of all draws of chance: numbers of 0 ..< 1 as a function of the position, and of what the
/// draw was made from.
package struct GateDraw: Sendable, Hashable {
  private var keys: dk_draw { dk_draw(low: low, high: high) }
  private let low, high: UInt32

  /// The draw of a step of a run. Different streams are independent.
  package init(seed: UInt64, step: UInt64, stream: UInt64) {
    var mixer = SplitMix64(seed: seed)
    mixer = SplitMix64(seed: mixer.next() &+ step)
    mixer = SplitMix64(seed: mixer.next() &+ stream)
    let key = mixer.next()
    (low, high) = (UInt32(truncatingIfNeeded: key), UInt32(key >> 32))
  }

  /// The number of a position.
  package subscript(position: UInt32) -> Float { dk_uniform(keys, position) }

  /// The keys for a run; where positions exceed 32 bits, the upper ones change the key.
  func keys(at position: Int) -> dk_draw {
    dk_draw(low: low, high: high &+ UInt32(truncatingIfNeeded: position >> 32) &* 0x9E37_79B9)
  }
}
