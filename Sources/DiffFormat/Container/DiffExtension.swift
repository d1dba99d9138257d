/// Data in a diff beside what it means, under a number that says what it is (FORMAT.md, 4.7).
public struct DiffExtension: Sendable, Hashable {
  /// What it is.
  public var identifier: UInt64
  /// The data.
  public var bytes: [UInt8]

  /// An extension.
  public init(identifier: UInt64, bytes: [UInt8]) {
    self.identifier = identifier
    self.bytes = bytes
  }
}
