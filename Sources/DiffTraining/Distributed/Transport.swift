import TensorCore

/// A transport of words of 32 bits between the ranks of a training, concurrent with other work of
/// the caller. Each kind of transfer begins in the same order on every rank; the kinds do not wait
/// for each other. Memory must not be changed until the transfer is over.
package protocol Transport: AnyObject {
  /// The rank of this process, and the number of all.
  var rank: Int { get }
  var count: Int { get }
  /// The number of ranks on this machine.
  var neighbours: Int { get }
  /// The name of this machine.
  var host: String { get }

  /// Sends each rank its part of `words`. That of this rank stays; those that others have for it
  /// come into `received`, one after the other in the order of the ranks.
  func exchange(
    _ words: FloatBuffer, _ parts: [Range<Int>], into received: FloatBuffer
  ) throws(DiffError) -> any Transfer

  /// Sends each rank's part of `words` to all.
  ///
  /// - Parameter isSum: True if the parts are sums of gradients, which are a separate kind.
  func gather(
    _ words: FloatBuffer, _ parts: [Range<Int>], isSum: Bool
  ) throws(DiffError) -> any Transfer

  /// Sends rank 0's words to all.
  func broadcast(
    _ words: FloatBuffer, _ range: Range<Int>
  ) throws(DiffError) -> any Transfer

  /// Leaves the ranks; all must call it.
  func finish()
  /// Ends all ranks; returns if that fails.
  func abort()
}

/// A transfer in progress.
package protocol Transfer: AnyObject {
  /// Advances the transfer and returns whether it is over.
  func isOver() throws(DiffError) -> Bool
}
