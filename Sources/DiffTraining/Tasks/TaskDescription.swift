import SystemSupport
import TensorCore

/// A description of a task: the kind of prediction, and the reasons for it.
public struct TaskDescription: Sendable, Hashable {
  /// A kind of prediction.
  public enum Kind: Sendable, Hashable {
    /// A class. The labels are in the order of the classes.
    case classification(labels: [String])
    /// A number.
    case regression
    /// The range of a context that answers a question.
    case spans
  }

  /// The kind of prediction.
  public var kind: Kind
  /// True if each example has two texts.
  public var isPair: Bool
  /// One line for people: the properties that were detected, and the reasons.
  public var summary: String
  /// One line for people: the number of rows of each class, if classes were detected.
  public var balance: String?
  /// Notes on irregularities of the file, one line each.
  public var notes: [String] = []

  /// The number of outputs that a model needs for the task.
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
  /// The target of the prediction.
  public var target: Target

  /// Creates an example.
  public init(_ first: String, _ second: String? = nil, target: Target = .none) {
    self.first = first
    self.second = second
    self.target = target
  }
}

/// The examples of a task.
public struct TaskData: Sendable, Hashable {
  /// The description of the task.
  public var description: TaskDescription
  /// The examples, in the order of the file.
  public var rows: [TaskRow]
  /// XXH3-128 of the rows: their fields as UTF-8, with tabs between them and a line feed after
  /// each; a field with a tab or a line feed is quoted. The format of the file, header, order of
  /// columns and line endings do not count.
  public var fingerprint: Fingerprint

  /// Returns the examples as tokens; see `examples` of rows.
  public func examples(
    _ tokenizer: some Tokenizer, maxLength: Int
  ) -> (examples: [TokenExample], truncated: Int) {
    rows.examples(tokenizer, maxLength: maxLength)
  }
}

extension [TaskRow] {
  /// Returns the examples as tokens. O(bytes), on all cores.
  ///
  /// - Parameters:
  ///   - tokenizer: The tokenizer of the model.
  ///   - maxLength: The number of tokens to which longer sequences are cut.
  /// - Returns: The examples, and the number of those that were cut.
  public func examples(
    _ tokenizer: some Tokenizer, maxLength: Int
  ) -> (examples: [TokenExample], truncated: Int) {
    var results = [(example: TokenExample, isTruncated: Bool)](
      repeating: (TokenExample(ids: []), false), count: count)
    // Nothing is thrown; the compiler cannot infer that.
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
