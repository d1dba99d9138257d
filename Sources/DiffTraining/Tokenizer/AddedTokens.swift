import TensorCore

/// Tokens that are matched in a text as a whole: special ones, and those added to a vocabulary.
/// Matched as Hugging Face does: from left to right, the longest first.
struct AddedTokens: Sendable {
  /// A token to be matched.
  struct Token: Sendable {
    let text: String
    let id: Int32
    /// True if white space before it, or after it, belongs to a match.
    var takesLeft = false
    var takesRight = false
    /// True if it matches only where no letter or digit is beside it.
    var isWord = false
    /// True if it is matched only between the matches of tokens that are not late.
    var isLate = false
  }

  /// Indices of `tokens` by their bytes: late tokens at root 1, the others at root 0.
  private var trie = PieceTrie(roots: 2)
  private var tokens: [Token] = []
  /// Marks the first bytes of the tokens of either root.
  private var isFirst = [[Bool]](repeating: Array(repeating: false, count: 256), count: 2)
  private var hasLate = false

  /// Creates a set of tokens.
  ///
  /// - Throws: `limit` for too many tokens.
  init(_ tokens: [Token]) throws(DiffError) {
    for token in tokens {
      guard let first = token.text.utf8.first else { continue }
      let root = token.isLate ? 1 : 0
      guard trie.insert(token.text.utf8, root: root, id: Int32(self.tokens.count)) else {
        throw DiffError(.limit, "too many added tokens")
      }
      isFirst[root][Int(first)] = true
      hasLate = hasLate || token.isLate
      self.tokens.append(token)
    }
  }

  /// A match in a text: the id of the token, and its bytes with the white space that belongs to it.
  struct Match {
    let id: Int32
    let range: Range<Int>
  }

  /// Returns the matches in a text, in order. O(bytes · longest token).
  func matches(_ text: Span<UInt8>) -> [Match] {
    guard !tokens.isEmpty else { return [] }
    let early = matches(text, root: 0, offset: 0)
    guard hasLate else { return early }
    var all: [Match] = []
    var start = 0
    for match in early {
      let gap = start..<match.range.lowerBound
      all += matches(text.extracting(gap), root: 1, offset: start)
      all.append(match)
      start = match.range.upperBound
    }
    return all + matches(text.extracting(start..<text.count), root: 1, offset: start)
  }

  private func matches(_ text: Span<UInt8>, root: Int, offset: Int) -> [Match] {
    var matches: [Match] = []
    var index = 0
    var done = 0
    while index < text.count {
      guard isFirst[root][Int(text[index])],
        let (tokenIndex, end) = trie.longest(in: text, at: index, root: root)
      else {
        index += 1
        continue
      }
      let token = tokens[Int(tokenIndex)]
      var (first, last) = (index, end)
      index = end
      if token.isWord, text.isWord(before: first) || text.isWord(at: last) { continue }
      if token.takesLeft { first = max(done, text.spaceStart(before: first)) }
      if token.takesRight { last = text.spaceEnd(from: last) }
      // Bytes of the match before are not used again.
      first = max(first, done)
      matches.append(Match(id: token.id, range: first + offset..<max(first, last) + offset))
      done = max(first, last)
    }
    return matches
  }
}

extension Span<UInt8> {
  /// Returns the scalar that ends before `end`, if any.
  private func scalar(before end: Int) -> Unicode.Scalar? {
    guard end > 0 else { return nil }
    var start = end - 1
    while start > 0 && self[start] & 0xC0 == 0x80 { start -= 1 }
    return self[start] < 0x80 ? Unicode.Scalar(self[start]) : scalar(at: start).0
  }

  private func scalarOrByte(at start: Int) -> (Unicode.Scalar, length: Int)? {
    guard start < count else { return nil }
    return self[start] < 0x80 ? (Unicode.Scalar(self[start]), 1) : scalar(at: start)
  }

  fileprivate func isWord(before end: Int) -> Bool { scalar(before: end)?.isWord ?? false }
  fileprivate func isWord(at start: Int) -> Bool { scalarOrByte(at: start)?.0.isWord ?? false }

  fileprivate func spaceStart(before end: Int) -> Int {
    var start = end
    while let scalar = scalar(before: start), scalar.properties.isWhitespace {
      start -= UTF8.width(scalar)
    }
    return start
  }

  fileprivate func spaceEnd(from start: Int) -> Int {
    var end = start
    while let (scalar, length) = scalarOrByte(at: end), scalar.properties.isWhitespace {
      end += length
    }
    return end
  }
}

extension Unicode.Scalar {
  /// True if `\w` matches the scalar (Unicode Technical Standard 18, annex C).
  fileprivate var isWord: Bool {
    if properties.isAlphabetic || properties.isJoinControl { return true }
    return switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
    default: false
    }
  }
}
