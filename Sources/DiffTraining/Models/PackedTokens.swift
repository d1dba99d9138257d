import TensorCore

/// The concatenated sequences of a batch, without padding.
struct PackedTokens: Sendable {
  /// Rows of the tables of tokens, segments and positions, one for each token.
  private(set) var ids: [Int32] = []
  private(set) var segments: [Int32] = []
  private(set) var positions: [Int32] = []
  /// The first token of each sequence, and the end of the last sequence.
  private(set) var offsets = [0]

  /// The first token of each sequence.
  var starts: [Int] { Array(offsets.dropLast()) }

  /// Concatenates examples.
  ///
  /// - Throws: `usage` for tokens that the model's tables lack.
  init(_ examples: [TokenExample], _ configuration: EncoderConfiguration) throws(DiffError) {
    for (index, example) in examples.enumerated() {
      try Self.check(example, configuration) { message in
        DiffError(.usage, "example \(index) of the batch: \(message)")
      }
      ids += example.ids
      segments +=
        example.segments.isEmpty
        ? Array(repeating: 0, count: example.ids.count) : example.segments
      positions += example.ids.indices.map { Int32(configuration.firstPosition + $0) }
      offsets.append(ids.count)
    }
  }

  private static func check(
    _ example: TokenExample, _ configuration: EncoderConfiguration,
    _ error: (String) -> DiffError
  ) throws(DiffError) {
    let count = example.ids.count
    guard count > 0 else { throw error("no tokens") }
    guard count <= configuration.longest else {
      throw error("\(count) tokens, but the model takes at most \(configuration.longest)")
    }
    if let id = example.ids.first(where: { $0 < 0 || $0 >= configuration.vocabulary }) {
      throw error("token \(id) is not in the vocabulary of \(configuration.vocabulary)")
    }
    guard example.segments.isEmpty || example.segments.count == count else {
      throw error("\(example.segments.count) segments for \(count) tokens")
    }
    // A model without a table of segments ignores them.
    let segments = configuration.segments == 0 ? 2 : configuration.segments
    if let segment = example.segments.first(where: { $0 < 0 || $0 >= segments }) {
      throw error("segment \(segment), but the model has \(segments) segments")
    }
  }
}
