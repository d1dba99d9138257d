import SystemSupport
import TensorCore

/// What a task asks for, and why that is believed.
public struct TaskDescription: Sendable, Hashable {
  /// What is predicted.
  public enum Kind: Sendable, Hashable {
    /// One of some classes. The labels are in the order of their numbers.
    case classification(labels: [String])
    /// A number.
    case regression
    /// The part of a context that answers a question.
    case spans
  }

  /// What is predicted.
  public var kind: Kind
  /// Whether each example has two texts.
  public var isPair: Bool
  /// One line for people: what was found and by what.
  public var summary: String
  /// What is unusual about the file: a line each.
  public var notes: [String] = []

  /// Outputs that a model needs for the task.
  public var outputCount: Int {
    switch kind {
    case .classification(let labels): labels.count
    case .regression: 1
    case .spans: 2
    }
  }
}

/// An example of a task, not tokenized yet.
public struct TaskRow: Sendable, Hashable {
  /// The text, or the first one.
  public var first: String
  /// The second text of a pair.
  public var second: String?
  /// What is to be predicted.
  public var target: Target

  /// An example.
  public init(_ first: String, _ second: String? = nil, target: Target = .none) {
    self.first = first
    self.second = second
    self.target = target
  }
}

/// The examples of a task.
public struct TaskData: Sendable, Hashable {
  /// What they ask for.
  public var description: TaskDescription
  /// The examples, in the order of the file.
  public var rows: [TaskRow]
  /// XXH3-128 of the rows: their fields as UTF-8, with tabs between them and a line feed after
  /// each; a field with a tab or an end of line stands in quotes. The format of the file, header,
  /// order of columns and ends of lines do not count.
  public var fingerprint: Fingerprint

  /// The examples as a model reads them; see `examples` of rows.
  public func examples(
    _ tokenizer: some Tokenizer, maxLength: Int
  ) -> (examples: [TokenExample], truncated: Int) {
    rows.examples(tokenizer, maxLength: maxLength)
  }
}

extension [TaskRow] {
  /// The examples as a model reads them. O(bytes), on all cores.
  ///
  /// - Parameter maxLength: Longer sequences are cut.
  /// - Returns: The examples, and how many of them were cut.
  public func examples(
    _ tokenizer: some Tokenizer, maxLength: Int
  ) -> (examples: [TokenExample], truncated: Int) {
    var results = [(example: TokenExample, isTruncated: Bool)](
      repeating: (TokenExample(ids: []), false), count: count)
    // Nothing is thrown; the compiler needs to be told.
    try? parallelForEach(&results) { index, result throws(DiffError) in
      let row = self[index]
      let encoding = tokenizer.encode(row.first, row.second, maxLength: maxLength)
      let segments = encoding.typeIDs.contains { $0 != 0 } ? encoding.typeIDs : []
      result = (
        TokenExample(ids: encoding.ids, segments: segments, target: row.target),
        encoding.isTruncated
      )
    }
    return (results.map(\.example), results.count { $0.isTruncated })
  }
}
