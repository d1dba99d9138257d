/// What BERT's clean-up asks of a scalar, answered as Hugging Face's `tokenizers` 0.23 answers:
/// its categories are those of Unicode 8, its decompositions those of Unicode 9, its case and
/// white space those of today. Scalars that came later are unassigned there, and so they are
/// here; the few whose category has changed since stand here one by one.
enum BertRules {
  /// Dropped: controls, formats, private use and what stands for damage.
  static func isRemoved(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    case .control, .format: scalar.isAssigned(in: 8)
    case .privateUse: true
    default: scalar.value == 0xFFFD
    }
  }

  /// A word of its own.
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

  /// An accent that is stripped.
  static func isAccent(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x1734, 0x1171E: true
    case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
    default:
      scalar.properties.generalCategory == .nonspacingMark && scalar.isAssigned(in: 8)
    }
  }

  /// An ideograph, a word of its own. The gap before U+2B920 is Hugging Face's.
  static func isIdeograph(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B81F,
      0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// The rank by which marks after a letter are sorted; 0 for what is no such mark.
  static func markOrder(_ scalar: Unicode.Scalar) -> UInt8 {
    scalar.isAssigned(in: 9) ? scalar.properties.canonicalCombiningClass.rawValue : 0
  }
}

extension Unicode.Scalar {
  /// Whether it stood in version `major`.0 of Unicode.
  func isAssigned(in major: Int) -> Bool {
    guard let age = properties.age else { return false }
    return age.major < major || age.major == major && age.minor == 0
  }
}
