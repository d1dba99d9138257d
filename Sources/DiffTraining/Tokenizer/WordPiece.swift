import TensorCore

/// The tokenizer of BERT and its kin: words, cleaned up, and of each word the longest pieces of a
/// vocabulary from left to right (Wu et al. 2016; Devlin et al. 2018).
///
/// Its ids are those of Hugging Face's `BertTokenizer`. As there, a special token that stands in
/// a text, «[SEP]», becomes that token.
public struct WordPiece: Tokenizer {
  /// How texts are cleaned up.
  public struct Options: Sendable, Hashable {
    /// Whether letters become lower-case.
    public var lowercases = true
    /// Whether accents are dropped; nil: if letters become lower-case.
    public var stripsAccents: Bool?
    /// Whether every ideograph is a word.
    public var separatesIdeographs = true
    /// A longer word is unknown.
    public var longestWord = 100

    /// Those of BERT, uncased.
    public init() {}
  }

  /// How texts are cleaned up.
  public let options: Options
  /// One more than the greatest id.
  public let vocabularyCount: Int
  /// What a sequence is put between.
  public let frame: SequenceFrame

  /// Pieces that begin a word have root 0, those that go on with one, «##», root 1.
  let trie: PieceTrie
  let unknown: Int32
  /// Tokens that texts may contain, special ones among them.
  let added: AddedTokens
  let stripsAccents: Bool

  /// A tokenizer of a vocabulary.
  ///
  /// - Parameters:
  ///   - vocabulary: The contents of `vocab.txt`: a piece a line, its id the line's number from 0.
  ///   - options: How texts are cleaned up; nil: as BERT uncased, but letters keep their case if
  ///     a piece has an upper-case one.
  /// - Throws: `malformed` if it is no such vocabulary, `limit`.
  public init(vocabulary: [UInt8], options: Options? = nil) throws(DiffError) {
    guard String(validating: vocabulary, as: UTF8.self) != nil else {
      throw DiffError(.malformed, "a vocabulary must be text in UTF-8")
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
        .malformed, "no vocabulary of BERT: it needs lines [CLS], [SEP] and [UNK]")
    }
    var chosen = options ?? Options()
    if options == nil { chosen.lowercases = !isCased }
    try self.init(
      pieces: pieces, unknown: "[UNK]", options: chosen,
      added: names.compactMap { name in
        known[name].map { AddedTokens.Token(text: name, id: $0) }
      }, frame: SequenceFrame(start: start, end: end, separators: 1, secondType: 1))
  }

  /// A tokenizer of pieces with their ids, the later of equal ones counts.
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

  private static let tooMany = DiffError(.limit, "a vocabulary of more than can be")

  /// The tokens of a text, without those of the frame. O(bytes).
  public func pieces(of text: String) -> Pieces {
    var words = BertWords(self)
    words.scan(Array(text.utf8).span)
    return words.pieces
  }
}
