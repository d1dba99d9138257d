import SystemSupport
import TensorCore

/// The origin of a remote store, such as a server: the functions that a store needs of it, so that
/// this module depends on files only.
///
/// Names are paths relative to the store, as `links/IDENTITY.diff`. Files from an origin are
/// compared with the index before they are used, and its index is as untrusted as any other.
package protocol StoreOrigin: Sendable {
  /// The address in messages, without secrets.
  var name: String { get }

  /// Returns the index, and a tag that no other state of it has (empty if there is no such tag);
  /// nil if there is no index.
  ///
  /// - Throws: `limit` if the index has more than `limit` bytes.
  func index(limit: UInt64) throws(DiffError) -> (bytes: [UInt8], tag: String)?

  /// Fetches a file into an empty one.
  ///
  /// - Throws: `limit` if the file has more than `limit` bytes, before they are fetched;
  ///   `notFound`, `io`.
  func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError)

  /// Uploads a file, which is durable when this returns.
  ///
  /// - Returns: whether it was written: an existing file is not replaced.
  /// - Throws: `unsupported` if the origin is read-only, or cannot detect a second writer.
  func put(_ file: File, as name: String) throws(DiffError) -> Bool

  /// Replaces the index that has a tag, or writes the first one, in one step.
  ///
  /// - Returns: false if the index was another one. If a connection was cut, the index may have
  ///   been written nevertheless.
  /// - Throws: `unsupported` as for a file.
  func replaceIndex(_ bytes: [UInt8], ifStill tag: String?) throws(DiffError) -> Bool
}
