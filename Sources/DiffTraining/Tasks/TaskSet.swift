import TensorCore

/// The data of a task as tokens: the rows of a table, or windows of the contexts of questions.
public struct TaskSet: Sendable {
  /// The description of the task.
  public let description: TaskDescription
  /// The fingerprint of the data; see `TaskData` and `Questions`.
  public let fingerprint: Fingerprint
  /// The examples that the model reads.
  public let examples: [TokenExample]
  /// The number of texts that are cut.
  public let truncated: Int
  /// The number of rows, or of questions.
  public var count: Int { questions?.all.questions.count ?? examples.count }
  private let questions: (all: Questions, windows: [QuestionWindow])?

  /// Reads a file: questions as SQuAD stores them if it ends in `.json` and the options specify no
  /// format, else a table (`TaskData`).
  ///
  /// - Parameters:
  ///   - path: The path of the file.
  ///   - options: The options for reading a table.
  ///   - kind: The required kind of task; nil for any.
  ///   - tokenizer: The tokenizer of the model.
  ///   - maxLength: The number of tokens to which longer texts are cut, and contexts divided.
  /// - Throws: `io`, `malformed`; `usage` for another kind of task.
  public init(
    _ path: String, _ options: TableOptions = TableOptions(), kind: TaskDescription.Kind? = nil,
    _ tokenizer: some Tokenizer, maxLength: Int
  ) throws(DiffError) {
    let holdsQuestions = path.hasSuffix(".json") && options.format == nil
    guard kind.map({ ($0 == .spans) == holdsQuestions }) ?? true else {
      throw DiffError(
        .usage,
        holdsQuestions
          ? "holds questions about contexts, but the diff is for a task of another kind"
          : "the diff answers questions about contexts: give a file of them that ends in .json",
        path: path)
    }
    if holdsQuestions {
      self.init(try Questions(path), tokenizer, maxLength: maxLength)
    } else {
      var options = options
      options.kind = kind ?? options.kind
      let data = try TaskData(table: path, options)
      self.init(data, data.examples(tokenizer, maxLength: maxLength))
    }
  }

  private init(_ data: TaskData, _ read: (examples: [TokenExample], truncated: Int)) {
    description = data.description
    fingerprint = data.fingerprint
    (examples, truncated) = read
    questions = nil
  }

  /// Creates the set of questions. Windows share a third of their length, as is usual for SQuAD.
  public init(_ questions: Questions, _ tokenizer: some Tokenizer, maxLength: Int) {
    let windows = questions.windows(tokenizer, maxLength: maxLength, stride: maxLength / 3)
    description = questions.description
    fingerprint = questions.fingerprint
    examples = windows.map(\.example)
    truncated = 0
    self.questions = (questions, windows)
  }

  /// Returns notes for the user: those on the rows, and one on texts that are cut.
  public func notes(_ path: String, maxLength: Int) -> [String] {
    (description.notes + Self.notes(cut: truncated, to: maxLength)).map { "\(path): \($0)" }
  }

  /// Returns a note on this many texts that are cut; none if there are none.
  package static func notes(cut count: Int, to maxLength: Int) -> [String] {
    guard count > 0 else { return [] }
    return ["\(count == 1 ? "1 text is" : "\(count) texts are") truncated to \(maxLength) tokens"]
  }

  /// Returns the scores of predictions for `examples`: see `TaskFacts.scores`; of answers
  /// `exact_match` and `f1`, means over the questions as in SQuAD's script.
  public func scores(_ predictions: [[Float]], _ facts: TaskFacts) -> [String: Double] {
    guard let questions = questions?.all.questions else {
      return facts.scores(predictions, examples.map(\.target))
    }
    var (matches, overlap) = (0.0, 0.0)
    for (answer, question) in zip(answers(predictions), questions) {
      let truths = question.answers.map(\.text)
      matches += AnswerMetrics.exactMatch(answer, truths)
      overlap += AnswerMetrics.f1(answer, truths)
    }
    let count = Double(max(1, questions.count))
    return ["exact_match": matches / count, "f1": overlap / count]
  }

  /// Returns the numbers of predictions of each class for each true class; nil without classes.
  public func confusion(_ predictions: [[Float]], _ facts: TaskFacts) -> Confusion? {
    facts.labels.isEmpty ? nil : facts.confusion(predictions, examples.map(\.target))
  }

  /// Returns the answers to the questions. If every question of the data has an answer, as in SQuAD
  /// 1.1, every one is answered; else the model decides.
  ///
  /// - Parameters:
  ///   - predictions: The model's outputs for each of `examples`, [tokens of the sequence, 2].
  ///   - mayBeNone: True if the model decides in any case.
  public func answers(_ predictions: [[Float]], mayBeNone: Bool = false) -> [String] {
    guard let (all, windows) = questions else { return [] }
    let decides = mayBeNone || all.questions.contains { $0.answers.isEmpty }
    return all.answers(windows, predictions.map { $0[...] }, threshold: decides ? 0 : nil)
  }
}
