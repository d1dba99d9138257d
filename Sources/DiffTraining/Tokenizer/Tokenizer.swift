/// A type that turns texts into the token ids that a model was trained on.
public protocol Tokenizer: Sendable {
  /// One more than the greatest id.
  var vocabularyCount: Int { get }
  /// The special tokens around a sequence.
  var frame: SequenceFrame { get }
  /// Returns the tokens of a text, without those of the frame. O(bytes).
  func pieces(of text: String) -> Pieces
}

/// The tokens of a text.
public struct Pieces: Sendable, Hashable {
  /// Their ids.
  public var ids: [Int32] = []
  /// The source of each, in bytes of the text's UTF-8.
  public var sources: [Range<Int>] = []

  /// Creates an empty list.
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
  /// The token that begins a sequence and is pooled: [CLS] or `<s>`.
  public let start: Int32
  /// The token that ends a text: [SEP] or `</s>`.
  public let end: Int32
  /// The number of `end` tokens between the two texts of a pair: 1 in BERT, 2 in RoBERTa.
  public let separators: Int
  /// The segment of the second text: 1 in BERT, 0 in RoBERTa.
  public let secondType: Int32

  /// Returns the number of special tokens in a sequence.
  public func count(pair: Bool) -> Int { pair ? separators + 2 : 2 }
}

/// A sequence as a model reads it.
public struct Encoding: Sendable, Hashable {
  /// Token ids, special ones included.
  public var ids: [Int32]
  /// The segment of each token.
  public var typeIDs: [Int32]
  /// True if a text was cut.
  public var isTruncated: Bool
}

extension Tokenizer {
  /// Returns a text or a pair of texts with special tokens, cut to at most `maxLength` tokens. Of a
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
    let capacity = max(0, maxLength - frame.count(pair: second != nil))
    let (firstCount, secondCount) = Self.fit(first.count, second?.count ?? 0, into: capacity)
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

  /// Returns the number of tokens that are kept of each of two texts.
  static func fit(_ first: Int, _ second: Int, into capacity: Int) -> (Int, Int) {
    if first + second <= capacity { return (first, second) }
    let short = min(first, second)
    let long = max(short, capacity - min(short, capacity))
    // If both are longer than half, the longer one, or the second, has the odd token.
    let kept = short + long <= capacity ? (short, long) : (capacity / 2, capacity - capacity / 2)
    return first > second ? (kept.1, kept.0) : kept
  }
}
