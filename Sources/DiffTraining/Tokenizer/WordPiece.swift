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
  /// Special tokens, which texts may contain.
  let special: [(bytes: [UInt8], id: Int32)]
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
    var trie = PieceTrie(roots: 2)
    var isCased = false
    let names = ["[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"]
    for (id, line) in lines.enumerated() {
      let piece = line.last == 0x0D ? line.dropLast() : line
      let continues = piece.starts(with: "##".utf8) && piece.count > 2
      guard
        id <= Int32.max,
        trie.insert(
          continues ? piece.dropFirst(2) : piece, root: continues ? 1 : 0, id: Int32(id))
      else { throw DiffError(.limit, "a vocabulary of more than can be") }
      isCased =
        isCased || piece.first != 0x5B && piece.contains { (0x41...0x5A).contains($0) }
    }
    var special: [(bytes: [UInt8], id: Int32)] = []
    for name in names {
      if let id = trie[name.utf8] { special.append((Array(name.utf8), id)) }
    }
    guard let start = trie["[CLS]".utf8], let end = trie["[SEP]".utf8],
      let unknown = trie["[UNK]".utf8]
    else {
      throw DiffError(
        .malformed, "no vocabulary of BERT: it needs lines [CLS], [SEP] and [UNK]")
    }
    self.trie = trie
    self.unknown = unknown
    self.special = special
    vocabularyCount = lines.count
    frame = SequenceFrame(start: start, end: end, separators: 1, secondType: 1)
    var chosen = options ?? Options()
    if options == nil { chosen.lowercases = !isCased }
    self.options = chosen
    stripsAccents = chosen.stripsAccents ?? chosen.lowercases
  }

  /// The tokens of a text, without those of the frame. O(bytes).
  public func pieces(of text: String) -> Pieces {
    var words = BertWords(self)
    words.scan(Array(text.utf8).span)
    return words.pieces
  }
}
