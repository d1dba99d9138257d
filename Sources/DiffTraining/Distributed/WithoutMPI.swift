#if !Distributed
import TensorCore

/// A replacement for MPI in builds without it, which is never created: `Ranks` throws first.
final class MPITransport: Transport {
  /// True if this build includes MPI.
  static let isIncluded = false

  let rank = 0
  let count = 1
  let neighbours = 1
  let host = ""

  init() throws(DiffError) {
    throw DiffError(.unsupported, "this build has no MPI")
  }

  func exchange(
    _ words: FloatBuffer, _ parts: [Range<Int>], into received: FloatBuffer
  ) throws(DiffError) -> any Transfer {
    preconditionFailure("transfers without MPI")
  }

  func gather(
    _ words: FloatBuffer, _ parts: [Range<Int>], isSum: Bool
  ) throws(DiffError) -> any Transfer {
    preconditionFailure("transfers without MPI")
  }

  func broadcast(
    _ words: FloatBuffer, _ range: Range<Int>
  ) throws(DiffError) -> any Transfer {
    preconditionFailure("transfers without MPI")
  }

  func finish() {}
  func abort() {}
}
#endif
