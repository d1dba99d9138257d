/// Turns texts into the token ids that a model was trained on.
public protocol Tokenizer: Sendable {
  /// One more than the greatest id.
  var vocabularyCount: Int { get }
  /// What a sequence is put between.
  var frame: SequenceFrame { get }
  /// The tokens of a text, without those of the frame. O(bytes).
  func pieces(of text: String) -> Pieces
}

/// The tokens of a text.
public struct Pieces: Sendable, Hashable {
  /// Their ids.
  public var ids: [Int32] = []
  /// Where each comes from: bytes of the text's UTF-8.
  public var sources: [Range<Int>] = []

  /// No tokens.
  public init() {}

  /// Appends a token.
  @inline(__always)
  mutating func append(_ id: Int32, _ source: Range<Int>) {
    ids.append(id)
    sources.append(source)
  }
}

/// The special tokens around the texts of a sequence.
public struct SequenceFrame: Sendable, Hashable {
  /// Begins a sequence: [CLS] or `<s>`, the token that is pooled.
  public let start: Int32
  /// Ends a text: [SEP] or `</s>`.
  public let end: Int32
  /// How many `end` stand between the two texts of a pair: 1 in BERT, 2 in RoBERTa.
  public let separators: Int
  /// The segment of the second text: 1 in BERT, 0 in RoBERTa.
  public let secondType: Int32

  /// How many special tokens a sequence has.
  public func count(pair: Bool) -> Int { pair ? separators + 2 : 2 }
}

/// A sequence as a model reads it.
public struct Encoding: Sendable, Hashable {
  /// Token ids, special ones included.
  public var ids: [Int32]
  /// The segment of each token.
  public var typeIDs: [Int32]
  /// Whether the text did not fit.
  public var isTruncated: Bool
}

extension Tokenizer {
  /// A text or a pair of texts between special tokens, cut to at most `maxLength` tokens. Of a
  /// pair the longer text is cut first, then both, as Hugging Face's `longest_first` does.
  ///
  /// - Complexity: O(bytes).
  public func encode(_ first: String, _ second: String? = nil, maxLength: Int) -> Encoding {
    let pieces = pieces(of: first)
    guard let second else { return encode(pieces.ids[...], nil, maxLength: maxLength) }
    return encode(pieces.ids[...], self.pieces(of: second).ids[...], maxLength: maxLength)
  }

  func encode(
    _ first: ArraySlice<Int32>, _ second: ArraySlice<Int32>?, maxLength: Int
  ) -> Encoding {
    let room = max(0, maxLength - frame.count(pair: second != nil))
    let (firstCount, secondCount) = Self.fit(first.count, second?.count ?? 0, into: room)
    var ids = [frame.start] + first.prefix(firstCount)
    ids.append(frame.end)
    var typeIDs = [Int32](repeating: 0, count: ids.count)
    if let second {
      ids += repeatElement(frame.end, count: frame.separators - 1)
      typeIDs += repeatElement(0, count: ids.count - typeIDs.count)
      ids += second.prefix(secondCount)
      ids.append(frame.end)
      typeIDs += repeatElement(frame.secondType, count: ids.count - typeIDs.count)
    }
    return Encoding(
      ids: ids, typeIDs: typeIDs,
      isTruncated: firstCount < first.count || secondCount < (second?.count ?? 0))
  }

  /// How many tokens of two texts are kept.
  static func fit(_ first: Int, _ second: Int, into room: Int) -> (Int, Int) {
    if first + second <= room { return (first, second) }
    let short = min(first, second)
    let long = max(short, room - min(short, room))
    // Both are longer than half: the longer one, or the second, has the odd token.
    let kept = short + long <= room ? (short, long) : (room / 2, room - room / 2)
    return first > second ? (kept.1, kept.0) : kept
  }
}
