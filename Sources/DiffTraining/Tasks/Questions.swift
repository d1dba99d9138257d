import StrictJSON
import SystemSupport
import TensorCore

/// Questions about contexts, as SQuAD 1.1 and 2.0 store them.
public struct Questions: Sendable, Hashable {
  /// A question.
  public struct Question: Sendable, Hashable {
    /// The id of the question in the file.
    public let id: String
    /// The text of the question.
    public let text: String
    /// The text that the question is about.
    public let context: String
    /// The accepted answers; empty if the context has no answer.
    public let answers: [Answer]
  }

  /// An answer.
  public struct Answer: Sendable, Hashable {
    /// The text of the answer, a part of the context.
    public let text: String
    /// The range of the answer, in bytes of the context's UTF-8; nil if it is not where the file
    /// specifies.
    public let source: Range<Int>?
  }

  /// The questions, in the order of the file.
  public let questions: [Question]
  /// A description of the questions, with notes on irregularities.
  public private(set) var description: TaskDescription
  /// XXH3-128 of the questions: id, question, context and answers as UTF-8, with a tab after
  /// each, and a line feed after each question.
  public let fingerprint: Fingerprint

  /// Creates questions without answers.
  public init(asking asked: [(question: String, context: String)]) {
    self.init(
      asked.enumerated().map { index, one in
        Question(id: "\(index)", text: one.question, context: one.context, answers: [])
      }, misplaced: 0)
  }

  /// Reads a file.
  ///
  /// - Throws: `io`; `malformed` with the location of the error.
  public init(_ path: String) throws(DiffError) {
    self = try File.parse(path) { bytes throws(DiffError) in try Questions(json: bytes) }
  }

  /// Reads the contents of a file.
  public init(json: [UInt8]) throws(DiffError) {
    let parsed: JSONValue
    do throws(DiffError) { parsed = try JSONValue(parsing: json) } catch {
      // An object on each line is not one value.
      throw error.advising(.inputFormat)
    }
    guard let articles = parsed["data"]?.elements else {
      throw DiffError(.malformed, "no questions: expected an object with an array 'data'")
    }
    var questions: [Question] = []
    var misplaced = 0
    for (index, article) in articles.enumerated() {
      for (paragraphIndex, paragraph) in (article["paragraphs"]?.elements ?? []).enumerated() {
        let path = "data[\(index)].paragraphs[\(paragraphIndex)]"
        guard let context = paragraph["context"]?.text, let items = paragraph["qas"]?.elements
        else { throw DiffError(.malformed, "\(path) lacks 'context' or 'qas'") }
        let bytes = Array(context.utf8)
        for (itemIndex, item) in items.enumerated() {
          let question = try Self.question(
            item, context: context, bytes: bytes, path: "\(path).qas[\(itemIndex)]",
            misplaced: &misplaced)
          questions.append(question)
        }
      }
    }
    guard !questions.isEmpty else { throw DiffError(.malformed, "the file has no questions") }
    self.init(questions, misplaced: misplaced)
  }

  private init(_ questions: [Question], misplaced: Int) {
    self.questions = questions
    let unanswered = questions.count { $0.answers.isEmpty }
    description = TaskDescription(
      kind: .spans, isPair: true,
      summary: "\(questions.count.counted("question")) about contexts, \(unanswered) without an "
        + "answer")
    if misplaced > 0 {
      description.notes.append(
        (misplaced == 1
          ? "1 answer is not where the file specifies: it counts"
          : "\(misplaced) answers are not where the file specifies: they count")
          + " in scores only")
    }
    var stream = XXH3Stream()
    for question in questions {
      let fields = [question.id, question.text, question.context] + question.answers.map(\.text)
      stream.update(Array((fields.map { $0 + "\t" }.joined() + "\n").utf8).span)
    }
    fingerprint = stream.digest
  }

  private static func question(
    _ item: JSONValue, context: String, bytes: [UInt8], path: String,
    misplaced: inout Int
  ) throws(DiffError) -> Question {
    guard let id = item["id"]?.text, let text = item["question"]?.text else {
      throw DiffError(.malformed, "\(path) lacks 'id' or 'question'")
    }
    var answers: [Answer] = []
    let isImpossible = item["is_impossible"] == .bool(true)
    for answer in isImpossible ? [] : item["answers"]?.elements ?? [] {
      guard let words = answer["text"]?.text, let start = answer["answer_start"]?.unsigned else {
        throw DiffError(.malformed, "\(path) has an answer without 'text' or 'answer_start'")
      }
      let length = words.utf8.count
      // Starts are counted in scalars, as Python counts them.
      let first = byteOffset(of: start, in: bytes)
      guard length > 0, bytes[first...].starts(with: words.utf8) else {
        misplaced += 1
        answers.append(Answer(text: words, source: nil))
        continue
      }
      answers.append(Answer(text: words, source: first..<first + length))
    }
    return Question(id: id, text: text, context: context, answers: answers)
  }

  private static func byteOffset(of scalar: UInt64, in bytes: [UInt8]) -> Int {
    var rest = scalar
    for (index, byte) in bytes.enumerated() where byte & 0xC0 != 0x80 {
      if rest == 0 { return index }
      rest -= 1
    }
    return bytes.count
  }
}
