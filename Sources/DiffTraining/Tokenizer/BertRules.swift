/// The properties of scalars that BERT's clean-up uses, as in Hugging Face's `tokenizers` 0.23: its
/// categories are those of Unicode 8, its decompositions those of Unicode 9, its case and white
/// space those of the current version. Scalars added later count as unassigned, as they do there;
/// the few whose category has changed since are listed one by one.
enum BertRules {
  /// Returns whether a scalar is dropped: controls, formats, private use and U+FFFD.
  static func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format: scalar.isAssigned(in: 8)
    case .privateUse: true
    default: scalar.value == 0xFFFD
    }
  }

  /// Returns whether a scalar is punctuation, which is a separate word.
  static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
      .initialPunctuation, .finalPunctuation, .otherPunctuation:
      scalar.isAssigned(in: 8)
    default:
      switch scalar.value {
      case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
      case 0x166D, 0x111C9: true
      default: false
      }
    }
  }

  /// Returns whether a scalar is an accent, which is stripped.
  static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1734, 0x1171E: true
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
    default:
      scalar.properties.generalCategory == .nonspacingMark && scalar.isAssigned(in: 8)
    }
  }

  /// Returns whether a scalar is an ideograph, which is a separate word. The gap before U+2B920 is
  /// Hugging Face's.
  static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B81F,
      0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// Returns the rank by which marks after a letter are sorted; 0 for other scalars.
  static func markOrder(_ scalar: Unicode.Scalar) -> UInt8 {
    scalar.isAssigned(in: 9) ? scalar.properties.canonicalCombiningClass.rawValue : 0
  }
}

extension Unicode.Scalar {
  /// Returns whether version `major`.0 of Unicode assigns the scalar.
  func isAssigned(in major: Int) -> Bool {
    guard let age = properties.age else { return false }
    return age.major < major || age.major == major && age.minor == 0
  }
}
