import TensorCore

/// The move of all tensors of a file to another group: their names differ only in a prefix.
struct GroupMove {
  /// The paths of the groups, each followed by a separator; empty for the root.
  private let from, to: [UInt8]

  /// Finds the move from the first name of each pair to the second; nil if there is none.
  init?(_ pairs: [(TensorName, TensorName)]) {
    guard let first = pairs.first else { return nil }
    let (one, other) = (Array(first.0.utf8), Array(first.1.utf8))
    var common = zip(one.reversed(), other.reversed()).prefix {
      $0 == $1 || Self.isSeparator($0) && Self.isSeparator($1)
    }.count
    while !Self.isBorder(one, common) || !Self.isBorder(other, common) { common -= 1 }
    from = one.dropLast(common)
    to = other.dropLast(common)
    for (one, other) in pairs where self(one)?.key != other.key { return nil }
  }

  /// Returns the path of an object after the move, empty for the root; nil if it is not in the
  /// group.
  func callAsFunction(_ object: TensorName) -> TensorName? {
    guard from != to else { return object }
    guard let rest = Self.rest(of: object, in: from) else { return nil }
    return TensorName(String(decoding: (to + rest).dropLast(), as: UTF8.self))
  }

  /// Returns whether an object is in the group after the move.
  func reaches(_ object: TensorName) -> Bool { Self.rest(of: object, in: to) != nil }

  /// Returns the path of an object relative to a group, followed by a separator; nil if the object
  /// is not in the group.
  private static func rest(of object: TensorName, in group: [UInt8]) -> ArraySlice<UInt8>? {
    let path = object.parts.isEmpty ? [] : Array(object.utf8) + [UInt8(ascii: "/")]
    let isInside =
      path.count >= group.count
      && zip(path, group).allSatisfy {
        $0 == $1 || isSeparator($0) && isSeparator($1)
      }
    return isInside ? path.dropFirst(group.count) : nil
  }

  /// Returns whether a component of a name begins `count` bytes before its end.
  private static func isBorder(_ name: [UInt8], _ count: Int) -> Bool {
    count == name.count || isSeparator(name[name.count - count - 1])
  }

  private static func isSeparator(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "/") || byte == UInt8(ascii: ".")
  }
}
