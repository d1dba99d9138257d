/// A scanner that cleans up a text and splits it into words, and words into pieces, in one pass.
///
/// The order of the steps is that of Hugging Face: controls are dropped, ideographs separated,
/// accents decomposed, sorted and stripped, letters converted to lower case; words end at white
/// space and around punctuation. It works on scalars, never on Swift's characters.
struct BertWords {
  private let model: WordPiece
  private(set) var pieces = Pieces()
  /// The current word, cleaned up, and the source of each of its bytes.
  private var word: [UInt8] = []
  private var sources: [Range<Int>] = []
  private var wordScalars = 0
  /// A letter and the marks after it, which may have to be sorted.
  private var marked: [Mark] = []

  private struct Mark {
    let scalar: Unicode.Scalar
    let order: UInt8
    let source: Range<Int>
    /// True if it is not the first scalar of its source's decomposition.
    let isAdded: Bool
  }

  init(_ model: WordPiece) { self.model = model }

  mutating func scan(_ bytes: Span<UInt8>) {
    pieces.ids.reserveCapacity(bytes.count / 4 + 8)
    pieces.sources.reserveCapacity(bytes.count / 4 + 8)
    var start = 0
    for match in model.added.matches(bytes) {
      scan(bytes, start..<match.range.lowerBound)
      pieces.append(match.id, match.range)
      start = match.range.upperBound
    }
    scan(bytes, start..<bytes.count)
  }

  /// Scans a range of a text without added tokens.
  private mutating func scan(_ bytes: Span<UInt8>, _ part: Range<Int>) {
    var index = part.lowerBound
    while index < part.upperBound {
      let byte = bytes[index]
      if byte < 0x80 {
        appendASCII(byte, index)
        index += 1
      } else {
        let (scalar, length) = bytes.scalar(at: index)
        append(scalar, index..<index + length)
        index += length
      }
    }
    endWord()
  }

  @inline(__always)
  private mutating func appendASCII(_ byte: UInt8, _ index: Int) {
    switch byte {
    case 0x30...0x39, 0x61...0x7A:
      add(byte, index)
    case 0x41...0x5A:
      add(model.options.lowercases ? byte | 0x20 : byte, index)
    case 0x20, 0x09, 0x0A, 0x0D: endWord()
    case 0..<0x20, 0x7F: break
    default:
      endWord()
      add(byte, index)
      endWord()
    }
  }

  @inline(__always)
  private mutating func add(_ byte: UInt8, _ index: Int) {
    if !marked.isEmpty { flushMarked() }
    word.append(byte)
    sources.append(index..<index + 1)
    wordScalars += 1
  }

  private mutating func append(_ scalar: Unicode.Scalar, _ source: Range<Int>) {
    if model.options.separatesIdeographs && BertRules.isIdeograph(scalar) {
      endWord()
      decompose(scalar, source)
      endWord()
    } else if BertRules.isRemoved(scalar) {
      return
    } else if scalar.properties.isWhitespace {
      endWord()
    } else {
      decompose(scalar, source)
    }
  }

  private mutating func decompose(_ scalar: Unicode.Scalar, _ source: Range<Int>) {
    guard model.stripsAccents else { return emit(scalar, source) }
    for (index, part) in Decompositions.of(scalar).enumerated() {
      let order = BertRules.markOrder(part)
      if order == 0 { flushMarked() }
      marked.append(Mark(scalar: part, order: order, source: source, isAdded: index > 0))
    }
  }

  /// Emits a letter and its marks in canonical order, which is stable by class. As in Hugging
  /// Face's library, sources stay in the order of the text; a scalar that a decomposition added has
  /// the source of the one before.
  private mutating func flushMarked() {
    guard marked.count > 1 else {
      if let mark = marked.popLast(), !BertRules.isAccent(mark.scalar) {
        emit(mark.scalar, mark.source)
      }
      return
    }
    let sorted = marked.enumerated().sorted {
      ($0.element.order, $0.offset) < ($1.element.order, $1.offset)
    }
    var sources = marked.filter { !$0.isAdded }.map(\.source)[...]
    var source = marked[0].source
    for (_, mark) in sorted {
      if !mark.isAdded { source = sources.popFirst() ?? source }
      if !BertRules.isAccent(mark.scalar) { emit(mark.scalar, source) }
    }
    marked.removeAll(keepingCapacity: true)
  }

  private mutating func emit(_ scalar: Unicode.Scalar, _ source: Range<Int>) {
    if BertRules.isPunctuation(scalar) {
      closeWord()
      spell(scalar, source)
      closeWord()
    } else if model.options.lowercases {
      for lower in scalar.properties.lowercaseMapping.unicodeScalars { spell(lower, source) }
    } else {
      spell(scalar, source)
    }
  }

  private mutating func spell(_ scalar: Unicode.Scalar, _ source: Range<Int>) {
    for byte in UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter {
      word.append(byte)
      sources.append(source)
    }
    wordScalars += 1
  }

  @inline(__always)
  private mutating func endWord() {
    if !marked.isEmpty { flushMarked() }
    closeWord()
  }

  /// Splits the word into pieces: the longest at its start, then the longest at the start of the
  /// rest, and so on. If a rest has none, the whole word is unknown.
  private mutating func closeWord() {
    guard let last = sources.last else { return }
    let before = pieces.ids.count
    var start = 0
    while start < word.count && wordScalars <= model.options.longestWord {
      guard
        let (id, end) = model.trie.longest(in: word.span, at: start, root: start == 0 ? 0 : 1)
      else { break }
      pieces.append(id, sources[start].lowerBound..<sources[end - 1].upperBound)
      start = end
    }
    if start < word.count {
      pieces.ids.removeSubrange(before...)
      pieces.sources.removeSubrange(before...)
      pieces.append(model.unknown, sources[0].lowerBound..<last.upperBound)
    }
    word.removeAll(keepingCapacity: true)
    sources.removeAll(keepingCapacity: true)
    wordScalars = 0
  }
}

extension Span<UInt8> {
  /// Returns the scalar at `index` of valid UTF-8, not ASCII, and its length in bytes.
  func scalar(at index: Int) -> (Unicode.Scalar, length: Int) {
    let first = UInt32(self[index])
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    var value = first & (0x7F >> UInt32(length))
    for next in index + 1..<Swift.min(index + length, count) {
      value = value << 6 | UInt32(self[next]) & 0x3F
    }
    return (Unicode.Scalar(value) ?? "\u{FFFD}", length)
  }
}
