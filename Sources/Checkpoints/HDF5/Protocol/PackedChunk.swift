/// A chunk as it is stored in a file.
package struct PackedChunk: Sendable {
  /// The coordinates of its first element.
  package var start: [UInt64]
  package var filterMask: UInt32
  package var bytes: [UInt8]
}
