import TensorCore

/// libhdf5 at work on one file: takes requests, gives replies.
package protocol HDF5Session: AnyObject, Sendable {
  /// False in a process that was forked from the one that began the session, if it has to begin one
  /// of its own.
  var isOfThisProcess: Bool { get }

  /// - Parameters:
  ///   - limit: the most bytes that the reply may have.
  ///   - seconds: how long it may take, where that can be enforced.
  /// - Throws: what kept the session from answering. An error of the library is a reply.
  func call(_ request: [UInt8], limit: UInt64, seconds: Double) throws(DiffError) -> [UInt8]
}
