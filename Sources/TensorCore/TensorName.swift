/// The name of a tensor, equal and ordered by its UTF-8 bytes.
///
/// Two strings that look alike are equal to Swift, as "é" in one scalar and in two; as names they
/// are two tensors, in checkpoints, in diffs and here.
public struct TensorName: Sendable {
  /// The name as text.
  public let description: String

  /// The name that a text spells.
  public init(_ text: String) { description = text }

  /// The bytes of the name.
  public var utf8: String.UTF8View { description.utf8 }

  /// The parts of the name: PyTorch joins them with dots, HDF5 with slashes.
  package var parts: [String] {
    utf8.split { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "/") }.map { String(Substring($0)) }
  }
}

extension TensorName: Hashable, Comparable {
  /// Whether the bytes of both names are the same.
  public static func == (one: Self, other: Self) -> Bool {
    one.utf8.count == other.utf8.count && one.utf8.span.compared(with: other.utf8.span) == 0
  }

  /// Whether the bytes of a name come before those of another.
  public static func < (one: Self, other: Self) -> Bool {
    one.utf8.span.compared(with: other.utf8.span) < 0
  }

  /// Feeds the bytes to a hasher.
  public func hash(into hasher: inout Hasher) { hasher.combine(utf8.span) }
}

extension TensorName: CustomStringConvertible, ExpressibleByStringInterpolation {
  /// The name that a literal spells.
  public init(stringLiteral text: String) { self.init(text) }
}

extension TensorName {
  /// What the names of one tensor have in common where '/' and '.' are one separator.
  package struct Key: Hashable, Comparable, Sendable {
    /// The name with '/' in place of '.'.
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

    /// The bytes of the name with '/' in place of '.'.
    package var utf8: String.UTF8View { name.utf8 }

    /// The key without a final ':0', which Keras appends.
    package var bare: Key {
      guard utf8.suffix(2).elementsEqual(":0".utf8) else { return self }
      return Key(TensorName(String(name.description.unicodeScalars.dropLast(2))))
    }

    package static func < (one: Key, other: Key) -> Bool { one.name < other.name }
  }

  /// The name for matching.
  package var key: Key { Key(self) }
}
