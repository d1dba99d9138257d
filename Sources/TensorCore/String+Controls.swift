extension String {
  /// The text with every control or formatting character written as `\u{…}`, so that texts of an
  /// untrusted file cannot control a terminal.
  public var escapingControls: String {
    escapingControls(but: nil)
  }

  /// Returns the text with every control or formatting character except `kept` written as `\u{…}`.
  package func escapingControls(but kept: Unicode.Scalar?) -> String {
    escapingControls { $0 == kept ? String($0) : "\\u{\(String($0.value, radix: 16))}" }
  }

  /// Returns the text, or its beginning and end if it is long: names from a file may have any
  /// length.
  package func abbreviated(to limit: Int = 200) -> String {
    guard utf8.count > limit else { return self }
    let kept = limit / 2
    return "\(prefix(kept))… (\(utf8.count) bytes) …\(suffix(limit / 4))"
  }

  /// Returns the text with every control or formatting character replaced.
  package func escapingControls(as escape: (Unicode.Scalar) -> String) -> String {
    // Most texts are plain, and to look a character up takes long.
    let isPlain = utf8.allSatisfy { 0x20..<0x7F ~= $0 }
    guard !isPlain, unicodeScalars.contains(where: \.isControl) else { return self }
    var out = ""
    for scalar in unicodeScalars {
      if scalar.isControl {
        out += escape(scalar)
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

extension Unicode.Scalar {
  fileprivate var isControl: Bool {
    switch properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate: true
    default: false
    }
  }
}
