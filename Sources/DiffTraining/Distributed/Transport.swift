import TensorCore

/// Moves words of 32 bits between the ranks of a training while the caller does other work. Each
/// kind of transfer begins in the same order on every rank; the kinds do not wait for each other.
/// Memory stays as it is until the transfer is over.
package protocol Transport: AnyObject {
  /// The number of this process, and of all.
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

  /// Makes each rank's part of `words` that of all.
  ///
  /// - Parameter isSum: Whether the parts are sums of gradients, which are a kind of their own.
  func gather(
    _ words: FloatBuffer, _ parts: [Range<Int>], isSum: Bool
  ) throws(DiffError) -> any Transfer

  /// Makes rank 0's words those of all.
  func broadcast(
    _ words: FloatBuffer, _ range: Range<Int>
  ) throws(DiffError) -> any Transfer

  /// Leaves the ranks when all do.
  func finish()
  /// Ends all ranks; returns if that fails.
  func abort()
}

/// A transfer that goes on.
package protocol Transfer: AnyObject {
  /// Moves it on and says whether it is over.
  func isOver() throws(DiffError) -> Bool
}
