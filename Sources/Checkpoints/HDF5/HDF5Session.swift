import TensorCore

/// A session of libhdf5 with one file, which answers requests with replies.
package protocol HDF5Session: AnyObject, Sendable {
  /// False in a process that was forked from the one that started the session, if it must start a
  /// new one.
  var isOfThisProcess: Bool { get }

  /// Sends a request and returns its reply.
  ///
  /// - Parameters:
  ///   - limit: the maximum number of bytes of the reply.
  ///   - seconds: the time limit, where it can be enforced.
  /// - Throws: an error if there is no reply. An error of the library is a reply.
  func call(_ request: [UInt8], limit: UInt64, seconds: Double) throws(DiffError) -> [UInt8]
}
