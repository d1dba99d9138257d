extension Character {
  /// The number of terminal columns it takes: two for wide and full-width characters of East Asia
  /// (Unicode Standard Annex 11) and for emoji.
  var columns: Int {
    guard let first = unicodeScalars.first else { return 0 }
    if first.properties.isEmojiPresentation { return 2 }
    return Self.wide.contains { $0.contains(first.value) } ? 2 : 1
  }

  private static let wide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF,
    0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
    0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1B000...0x1B2FF, 0x20000...0x3FFFD,
  ]
}

extension String {
  /// How many columns of a terminal it takes.
  var columns: Int {
    // Most texts are plain, and to find characters takes long.
    if utf8.allSatisfy({ 0x20..<0x7F ~= $0 }) { return utf8.count }
    return reduce(0) { $0 + $1.columns }
  }

  /// Returns the text in at most `width` columns; the middle of a longer one is left out.
  func shortened(to width: Int) -> String {
    guard columns > width, width > 0 else { return self }
    let head = prefix(columns: width / 2)
    let tail = String(reversed()).prefix(columns: width - head.columns - 1)
    return head + "…" + String(tail.reversed())
  }

  /// Returns as many characters as fit in `limit` columns.
  private func prefix(columns limit: Int) -> String {
    var left = limit
    return String(
      prefix { character in
        left -= character.columns
        return left >= 0
      })
  }
}
