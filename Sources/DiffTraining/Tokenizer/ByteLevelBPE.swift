import StrictJSON
import TensorCore

/// The tokenizer of RoBERTa: byte-pair encoding of the bytes of words, as in GPT-2. Its ids are
/// those of Hugging Face's `RobertaTokenizer`; a special token in a text, such as `</s>`, becomes
/// that token.
public struct ByteLevelBPE: Tokenizer {
  /// One more than the greatest id.
  public let vocabularyCount: Int
  /// The special tokens around a sequence.
  public let frame: SequenceFrame
  /// True if a text is tokenized as if a space preceded it.
  public let addsPrefixSpace: Bool

  /// The token of each byte.
  private let bytes: [Int32]
  private let merges: Merges
  private let added: AddedTokens

  /// Creates a tokenizer from a vocabulary.
  ///
  /// - Parameters:
  ///   - vocabulary: The contents of `vocab.json`: ids by token.
  ///   - merges: The contents of `merges.txt`: pairs of tokens, one on each line, in the order in
  ///     which they are joined.
  ///   - addsPrefixSpace: True to tokenize a text as if a space preceded it.
  /// - Throws: `malformed` if they are not such files or do not match.
  public init(
    vocabulary: [UInt8], merges: [UInt8], addsPrefixSpace: Bool = false
  ) throws(DiffError) {
    var ids: [(text: String, id: Int32)] = []
    var names: [String: Int32] = [:]
    for member in try JSONValue(parsing: vocabulary).members ?? [] {
      guard let id = member.value.unsigned.flatMap({ Int32(exactly: $0) }) else {
        throw DiffError(.malformed, "the id of token '\(member.name)' is not a whole number")
      }
      ids.append((member.name, id))
      names[member.name] = id
    }
    guard let start = names["<s>"], let end = names["</s>"] else {
      let name = names["<s>"] == nil ? "<s>" : "</s>"
      throw DiffError(.malformed, "not a vocabulary of RoBERTa: it lacks the token '\(name)'")
    }
    var pairs: [(String, String)] = []
    for (index, raw) in merges.split(separator: 0x0A, omittingEmptySubsequences: false).enumerated()
    {
      let line = raw.last == 0x0D ? raw.dropLast() : raw
      if line.isEmpty || line.starts(with: "#version".utf8) { continue }
      let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
      guard parts.count == 2 else {
        throw DiffError(
          .malformed, "line \(index + 1) of the merges is not a pair of tokens")
      }
      pairs.append(
        (String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self)))
    }
    try self.init(
      ids: ids, merges: pairs,
      added: ["<s>", "</s>", "<pad>", "<unk>", "<mask>"].compactMap { name in
        names[name].map { AddedTokens.Token(text: name, id: $0) }
      }, frame: SequenceFrame(start: start, end: end, separators: 2, secondType: 0),
      addsPrefixSpace: addsPrefixSpace)
  }

  /// Creates a tokenizer from tokens with their ids, and pairs in the order in which they are
  /// joined.
  ///
  /// - Throws: `malformed` if they do not match.
  init(
    ids: [(text: String, id: Int32)], merges pairs: [(String, String)], added: [AddedTokens.Token],
    frame: SequenceFrame, addsPrefixSpace: Bool
  ) throws(DiffError) {
    // By bytes: Swift treats canonically equivalent strings as equal.
    var known: [[UInt8]: Int32] = [:]
    known.reserveCapacity(ids.count)
    for (text, id) in ids { known[Array(text.utf8)] = id }
    bytes = try Self.letters.map { letter throws(DiffError) in
      guard let id = known[Array(String(letter).utf8)] else {
        throw DiffError(.malformed, "not a byte-level vocabulary: it lacks the token '\(letter)'")
      }
      return id
    }
    var merges = Merges()
    for (number, pair) in pairs.enumerated() {
      let (left, right) = (Array(pair.0.utf8), Array(pair.1.utf8))
      guard let first = known[left], let second = known[right], let both = known[left + right]
      else {
        throw DiffError(
          .malformed, "pair \(number + 1) of the merges has tokens that the vocabulary lacks")
      }
      merges.append(first, second, both)
    }
    self.merges = merges
    self.frame = frame
    self.added = try AddedTokens(added)
    self.addsPrefixSpace = addsPrefixSpace
    let most = ids.map(\.id).max() ?? 0
    vocabularyCount = Int(added.reduce(most) { max($0, $1.id) }) + 1
  }

  /// The letters that represent bytes in the files: printable bytes represent themselves, the
  /// others are U+0100 and the following.
  private static let letters: [Unicode.Scalar] = {
    var next: UInt32 = 0x100
    return (UInt32(0)...0xFF).map { byte in
      switch byte {
      case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: return Unicode.Scalar(UInt8(byte))
      default:
        defer { next += 1 }
        return Unicode.Scalar(next) ?? " "
      }
    }
  }()

  /// Returns the tokens of a text, without those of the frame. O(bytes · log(longest word)).
  public func pieces(of text: String) -> Pieces {
    let bytes = Array(text.utf8)
    var pieces = Pieces()
    var start = 0
    for match in added.matches(bytes.span) {
      append(bytes, start..<match.range.lowerBound, to: &pieces)
      pieces.append(match.id, match.range)
      start = match.range.upperBound
    }
    append(bytes, start..<bytes.count, to: &pieces)
    return pieces
  }

  /// Appends the tokens of a range of a text without added tokens.
  private func append(_ text: [UInt8], _ part: Range<Int>, to pieces: inout Pieces) {
    var letters = Array(text[part])
    var shift = part.lowerBound
    if addsPrefixSpace, let first = letters.first, first != 0x20 {
      letters.insert(0x20, at: 0)
      shift -= 1
    }
    var symbols: [Merges.Symbol] = []
    var start = 0
    while start < letters.count {
      let end = TextKinds.wordEnd(letters.span, start, before: letters.count)
      symbols.removeAll(keepingCapacity: true)
      for index in start..<end {
        symbols.append(
          Merges.Symbol(id: bytes[Int(letters[index])], end: Int32(index + 1 - start)))
      }
      merges.apply(to: &symbols)
      var first = start
      for symbol in symbols {
        let last = start + Int(symbol.end)
        let source = Self.source(letters.span, first..<last)
        // A space that was added has no bytes in the text.
        pieces.append(
          symbol.id,
          max(
            part.lowerBound, source.lowerBound + shift)..<max(
              part.lowerBound, source.upperBound + shift))
        first = last
      }
      start = end
    }
  }

  /// Returns the source of a token: whole scalars, without spaces at its ends.
  private static func source(_ text: Span<UInt8>, _ range: Range<Int>) -> Range<Int> {
    var (first, last) = (range.lowerBound, range.upperBound)
    while first < last && text[first] == 0x20 { first += 1 }
    while last > first && text[last - 1] == 0x20 { last -= 1 }
    while first > 0 && first < text.count && text[first] & 0xC0 == 0x80 { first -= 1 }
    while last < text.count && text[last] & 0xC0 == 0x80 { last += 1 }
    return first..<last
  }
}
