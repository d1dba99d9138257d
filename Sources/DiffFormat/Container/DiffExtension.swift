/// Additional data in a diff, with an identifier (FORMAT.md, 4.7).
public struct DiffExtension: Sendable, Hashable {
  /// The number that identifies the kind of data.
  public var identifier: UInt64
  /// The data.
  public var bytes: [UInt8]

  /// Creates an extension.
  public init(identifier: UInt64, bytes: [UInt8]) {
    self.identifier = identifier
    self.bytes = bytes
  }
}
