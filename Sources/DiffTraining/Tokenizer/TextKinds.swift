/// The division of text into the words of GPT-2 (Radford et al. 2019): a space and letters, a space
/// and numbers, a space and other signs, English contractions, white space. The same as the matches
/// of the pattern
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// without an engine for regular expressions.
enum TextKinds {
  /// The kind of scalars that a word consists of.
  enum Kind { case letter, number, space, other }

  private static let contractions = ["s", "t", "re", "ve", "m", "ll", "d"].map { Array($0.utf8) }

  /// Returns the end, at most `end`, of the word that begins at `start`; all are ends of scalars.
  static func wordEnd(_ bytes: Span<UInt8>, _ start: Int, before end: Int) -> Int {
    if bytes[start] == UInt8(ascii: "'") {
      for letters in contractions
      where start + letters.count < end
        && letters.indices.allSatisfy({ bytes[start + 1 + $0] == letters[$0] })
      {
        return start + 1 + letters.count
      }
    }
    var index = start
    var (kind, length) = Self.kind(bytes, start)
    if bytes[start] == 0x20 && start + 1 < end {
      let next = Self.kind(bytes, start + 1)
      if next.kind != .space {
        index += 1
        (kind, length) = next
      }
    }
    let first = kind
    var last = index
    while kind == first {
      last = index
      index += length
      if index >= end { return end }
      (kind, length) = Self.kind(bytes, index)
    }
    // The last white space before something else belongs to what follows.
    return first == .space && last > start ? last : index
  }

  private static func kind(_ bytes: Span<UInt8>, _ index: Int) -> (kind: Kind, length: Int) {
    switch bytes[index] {
    case 0x41...0x5A, 0x61...0x7A: return (.letter, 1)
    case 0x30...0x39: return (.number, 1)
    case 0x20, 0x09...0x0D: return (.space, 1)
    case 0..<0x80: return (.other, 1)
    default:
      let (scalar, length) = bytes.scalar(at: index)
      return (kind(scalar), length)
    }
  }

  /// Returns the kind by the categories of Unicode 16, as in Hugging Face's regular expressions.
  private static func kind(_ scalar: Unicode.Scalar) -> Kind {
    guard scalar.isAssigned(in: 16) else { return .other }
    return switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
      .letter
    case .decimalNumber, .letterNumber, .otherNumber: .number
    default: scalar.properties.isWhitespace ? .space : .other
    }
  }
}
