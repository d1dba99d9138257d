import SystemSupport
import TensorCore

/// A place elsewhere that holds the files of a store, such as a server: what a store needs of it, so
/// that this module knows files and nothing else.
///
/// Names are paths from the store's own folder, as `links/IDENTITY.diff`. Everything that comes from
/// here is compared with the index before it is used, and the index is a stranger's as any other.
package protocol StoreOrigin: Sendable {
  /// The address, fit for messages.
  var name: String { get }

  /// The index, and a tag that another state of it does not have; nil if there is none.
  ///
  /// - Throws: `limit` for one of more bytes than `limit`.
  func index(limit: UInt64) throws(DiffError) -> (bytes: [UInt8], tag: String)?

  /// Brings a file into an empty one.
  ///
  /// - Throws: `limit` for one of more bytes than `limit`, before they are brought; `not-found`, `io`.
  func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError)

  /// Takes a file there, durable when this returns.
  ///
  /// - Returns: whether there was none of that name; otherwise that one stays.
  /// - Throws: `unsupported` if the place is for reading only, or cannot keep two writers apart.
  func put(_ file: File, as name: String) throws(DiffError) -> Bool

  /// Puts an index in place of the one of a tag, or where there is none, in one step.
  ///
  /// - Returns: whether that was still the state; after a connection that was cut it may have been
  ///   replaced all the same.
  /// - Throws: `unsupported` as for a file.
  func replaceIndex(_ bytes: [UInt8], ifStill tag: String?) throws(DiffError) -> Bool
}
