/// A chunk as it stands in a file.
package struct PackedChunk: Sendable {
  /// The element that it begins with, in each dimension.
  package var place: [UInt64]
  package var filterMask: UInt32
  package var bytes: [UInt8]
}
