import TensorCore

/// The data of a task as a model reads them: the rows of a table, or windows on the contexts of
/// questions.
public struct TaskSet: Sendable {
  /// What they ask for.
  public let description: TaskDescription
  /// Of the data; see `TaskData` and `Questions`.
  public let fingerprint: Fingerprint
  /// What the model reads.
  public let examples: [TokenExample]
  /// How many texts are cut.
  public let truncated: Int
  /// Rows, or questions.
  public var count: Int { questions?.all.questions.count ?? examples.count }
  private let questions: (all: Questions, windows: [QuestionWindow])?

  /// Reads a file: questions as SQuAD stores them if it ends in `.json`, else a table
  /// (`TaskData`).
  ///
  /// - Parameters:
  ///   - kind: What must be asked for; nil: whatever is.
  ///   - maxLength: Longer texts are cut; long contexts become several windows.
  /// - Throws: `io`, `malformed`; `usage` if something else is asked for.
  public init(
    _ path: String, _ options: TableOptions = TableOptions(), kind: TaskDescription.Kind? = nil,
    _ tokenizer: some Tokenizer, maxLength: Int
  ) throws(DiffError) {
    let holdsQuestions = path.hasSuffix(".json")
    guard kind.map({ ($0 == .spans) == holdsQuestions }) ?? true else {
      throw DiffError(
        .usage,
        holdsQuestions
          ? "holds questions on contexts, but the diff is for a task of another kind"
          : "the diff answers questions on contexts: a file of them that ends in .json is wanted",
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

  /// Questions on contexts. Windows share a third of their length, as SQuAD's users have it.
  public init(_ questions: Questions, _ tokenizer: some Tokenizer, maxLength: Int) {
    let windows = questions.windows(tokenizer, maxLength: maxLength, stride: maxLength / 3)
    description = questions.description
    fingerprint = questions.fingerprint
    examples = windows.map(\.example)
    truncated = 0
    self.questions = (questions, windows)
  }

  /// What predictions for `examples` are worth: see `TaskFacts.scores`; of answers `exact_match`
  /// and `f1`, means over the questions as SQuAD's script takes them.
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

  /// How often each class was predicted for each; nil where no classes are.
  public func confusion(_ predictions: [[Float]], _ facts: TaskFacts) -> Confusion? {
    facts.labels.isEmpty ? nil : facts.confusion(predictions, examples.map(\.target))
  }

  /// The answers to the questions. Where every question of the data has an answer, as in SQuAD
  /// 1.1, none is left without; else the model decides.
  ///
  /// - Parameter mayBeNone: Whether the model decides in any case.
  public func answers(_ predictions: [[Float]], mayBeNone: Bool = false) -> [String] {
    guard let (all, windows) = questions else { return [] }
    let decides = mayBeNone || all.questions.contains { $0.answers.isEmpty }
    return all.answers(windows, predictions.map { $0[...] }, threshold: decides ? 0 : nil)
  }
}
