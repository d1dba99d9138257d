#if !Distributed
import TensorCore

/// What stands for MPI in builds without it. None is ever made: `Ranks` refuses first.
final class MPITransport: Transport {
  /// Whether this build has it.
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
