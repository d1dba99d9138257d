import TensorCore

/// The tokenizer of BERT and related models: cleaned-up words, and of each word the longest pieces
/// of a vocabulary from left to right (Wu et al. 2016; Devlin et al. 2018).
///
/// Its ids are those of Hugging Face's `BertTokenizer`. As there, a special token in a text, such
/// as `[SEP]`, becomes that token.
public struct WordPiece: Tokenizer {
  /// Options for cleaning up texts.
  public struct Options: Sendable, Hashable {
    /// True if letters are converted to lower case.
    public var lowercases = true
    /// True if accents are stripped; nil for the same as `lowercases`.
    public var stripsAccents: Bool?
    /// True if every ideograph is a separate word.
    public var separatesIdeographs = true
    /// The maximum number of scalars in a word; a longer word is unknown.
    public var longestWord = 100

    /// Creates the options of BERT uncased.
    public init() {}
  }

  /// The options for cleaning up texts.
  public let options: Options
  /// One more than the greatest id.
  public let vocabularyCount: Int
  /// The special tokens around a sequence.
  public let frame: SequenceFrame

  /// The pieces: those that begin a word at root 0, those that continue one (`##`) at root 1.
  let trie: PieceTrie
  let unknown: Int32
  /// The tokens that are matched in texts as a whole, including special ones.
  let added: AddedTokens
  let stripsAccents: Bool

  /// Creates a tokenizer from a vocabulary.
  ///
  /// - Parameters:
  ///   - vocabulary: The contents of `vocab.txt`: a piece on each line; ids are indices of lines.
  ///   - options: The options for cleaning up texts; nil for those of BERT uncased, except that
  ///     letters keep their case if a piece has an upper-case letter.
  /// - Throws: `malformed` if it is not such a vocabulary, `limit`.
  public init(vocabulary: [UInt8], options: Options? = nil) throws(DiffError) {
    guard String(validating: vocabulary, as: UTF8.self) != nil else {
      throw DiffError(.malformed, "the vocabulary is not valid UTF-8")
    }
    var lines = vocabulary.split(separator: 0x0A, omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    var pieces: [(text: String, id: Int32)] = []
    var isCased = false
    for (id, line) in lines.enumerated() {
      let piece = line.last == 0x0D ? line.dropLast() : line
      guard id <= Int32.max else { throw Self.tooMany }
      pieces.append((String(decoding: piece, as: UTF8.self), Int32(id)))
      isCased =
        isCased || piece.first != 0x5B && piece.contains { (0x41...0x5A).contains($0) }
    }
    let names = ["[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"]
    var known: [String: Int32] = [:]
    for (text, id) in pieces where names.contains(text) { known[text] = id }
    guard let start = known["[CLS]"], let end = known["[SEP]"], known["[UNK]"] != nil else {
      throw DiffError(
        .malformed, "not a vocabulary of BERT: it needs the lines [CLS], [SEP] and [UNK]")
    }
    var chosen = options ?? Options()
    if options == nil { chosen.lowercases = !isCased }
    try self.init(
      pieces: pieces, unknown: "[UNK]", options: chosen,
      added: names.compactMap { name in
        known[name].map { AddedTokens.Token(text: name, id: $0) }
      }, frame: SequenceFrame(start: start, end: end, separators: 1, secondType: 1))
  }

  /// Creates a tokenizer from pieces with their ids; the last of equal pieces counts.
  ///
  /// - Throws: `malformed` without the unknown piece, `limit`.
  init(
    pieces: [(text: String, id: Int32)], unknown: String, options: Options,
    added: [AddedTokens.Token], frame: SequenceFrame
  ) throws(DiffError) {
    var trie = PieceTrie(roots: 2)
    var most: Int32 = -1
    for (text, id) in pieces {
      let continues = text.utf8.starts(with: "##".utf8) && text.utf8.count > 2
      let bytes = continues ? text.utf8.dropFirst(2) : text.utf8[...]
      guard trie.insert(bytes, root: continues ? 1 : 0, id: id) else { throw Self.tooMany }
      most = max(most, id)
    }
    guard let unknownID = trie[unknown.utf8] else {
      throw DiffError(.malformed, "the vocabulary lacks the unknown piece '\(unknown)'")
    }
    self.trie = trie
    self.unknown = unknownID
    self.added = try AddedTokens(added)
    self.options = options
    self.frame = frame
    vocabularyCount = Int(added.reduce(most) { max($0, $1.id) }) + 1
    stripsAccents = options.stripsAccents ?? options.lowercases
  }

  private static let tooMany = DiffError(.limit, "the vocabulary is too large")

  /// Returns the tokens of a text, without those of the frame. O(bytes).
  public func pieces(of text: String) -> Pieces {
    var words = BertWords(self)
    words.scan(Array(text.utf8).span)
    return words.pieces
  }
}
