/// The name of a tensor, compared and ordered by its UTF-8 bytes.
///
/// Canonically equivalent strings are equal in Swift, such as "é" in one scalar and in two; as
/// names they are different, in checkpoints, in diffs and here.
public struct TensorName: Sendable {
  /// The name as text.
  public let description: String

  /// Creates a name from a text.
  public init(_ text: String) { description = text }

  /// The bytes of the name.
  public var utf8: String.UTF8View { description.utf8 }

  /// The components of the name: PyTorch joins them with dots, HDF5 with slashes.
  package var parts: [String] {
    utf8.split { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/") }.map { String(Substring($0)) }
  }
}

extension TensorName: Hashable, Comparable {
  /// Returns whether the bytes of both names are equal.
  public static func == (one: Self, other: Self) -> Bool {
    one.utf8.count == other.utf8.count && one.utf8.span.compared(with: other.utf8.span) == 0
  }

  /// Returns whether the bytes of a name precede those of another.
  public static func < (one: Self, other: Self) -> Bool {
    one.utf8.span.compared(with: other.utf8.span) < 0
  }

  /// Hashes the bytes.
  public func hash(into hasher: inout Hasher) { hasher.combine(utf8.span) }
}

extension TensorName: CustomStringConvertible, ExpressibleByStringInterpolation {
  /// Creates a name from a literal.
  public init(stringLiteral text: String) { self.init(text) }
}

extension TensorName {
  /// A name for matching, in which '/' and '.' are the same separator.
  package struct Key: Hashable, Comparable, Sendable {
    /// The name with '/' instead of '.'.
    private let name: TensorName

    fileprivate init(_ name: TensorName) {
      let (dot, slash) = (UInt8(ascii: "."), UInt8(ascii: "/"))
      guard name.utf8.contains(dot) else {
        self.name = name
        return
      }
      self.name = TensorName(
        String(decoding: name.utf8.map { $0 == dot ? slash : $0 }, as: UTF8.self))
    }

    /// The bytes of the name with '/' instead of '.'.
    package var utf8: String.UTF8View { name.utf8 }

    /// The key without a final ':0', which Keras appends.
    package var bare: Key {
      guard utf8.suffix(2).elementsEqual(":0".utf8) else { return self }
      return Key(TensorName(String(name.description.unicodeScalars.dropLast(2))))
    }

    package static func < (one: Key, other: Key) -> Bool { one.name < other.name }
  }

  /// The key for matching.
  package var key: Key { Key(self) }
}
