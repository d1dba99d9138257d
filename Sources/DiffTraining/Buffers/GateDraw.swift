import CKernels
import Kernels
import TensorCore

/// A random draw: a number in (0, 1) for each position, as a function of the position and of the
/// seed, step and stream of the draw.
package struct GateDraw: Sendable, Hashable {
  private var keys: dk_draw { dk_draw(low: low, high: high) }
  private let low, high: UInt32

  /// Creates the draw of one step of a run. Different streams are independent.
  package init(seed: UInt64, step: UInt64, stream: UInt64) {
    var mixer = SplitMix64(seed: seed)
    mixer = SplitMix64(seed: mixer.next() &+ step)
    mixer = SplitMix64(seed: mixer.next() &+ stream)
    let key = mixer.next()
    (low, high) = (UInt32(truncatingIfNeeded: key), UInt32(key >> 32))
  }

  /// The random number of a position.
  package subscript(position: UInt32) -> Float { dk_uniform(keys, position) }

  /// Returns the keys for a run of positions; bits of a position above the lower 32 change the key.
  func keys(at position: Int) -> dk_draw {
    dk_draw(low: low, high: high &+ UInt32(truncatingIfNeeded: position >> 32) &* 0x9E37_79B9)
  }
}
