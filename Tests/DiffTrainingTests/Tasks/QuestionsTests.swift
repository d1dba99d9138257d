import DiffTraining
import SystemSupport
import Testing

@Suite struct QuestionsTests {
  private static let context =
    "Zürich — naïve 🎉 Beyoncé sang in Houston, Texas, in the 1990s, 北京 she did not."

  /// Returns a file with a question about the context, whose answer's offset is in scalars.
  private static func file(_ answer: String, shift: Int = 0) -> [UInt8] {
    let scalars = Array(context.unicodeScalars)
    let scalarsOfAnswer = Array(answer.unicodeScalars)
    let start = scalars.indices.first { scalars[$0...].starts(with: scalarsOfAnswer) } ?? 0
    let offset = start + shift
    return Array(
      """
      {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "\(context)", "qas": [
      {"id": "1", "question": "Where?", "answers": [{"text": "\(answer)", "answer_start": \(offset)}], "is_impossible": false},
      {"id": "2", "question": "Who not?", "answers": [], "is_impossible": true}]}]}]}
      """.utf8)
  }

  private static func tokenizer() throws -> WordPiece {
    try WordPiece(vocabulary: File.contents(of: Resource.path("vocab.txt")))
  }

  @Test(
    "an answer goes from characters to tokens and back, through windows of any length",
    arguments: ["Houston, Texas", "Zürich", "Beyoncé", "1990s", "北京", "not.", "naïve 🎉"])
  func answersGoRound(answer: String) throws {
    let questions = try Questions(json: Self.file(answer))
    let tokenizer = try Self.tokenizer()
    #expect(questions.questions.map(\.answers.count) == [1, 0])
    var found = 0
    for maxLength in [14, 20, 33, 128] {
      let windows = questions.windows(tokenizer, maxLength: maxLength, stride: 4)
      #expect(windows.allSatisfy { $0.example.ids.count <= maxLength })
      let outputs = windows.map { window in
        var scores = [Float](repeating: 0, count: window.example.ids.count * 2)
        if case .span(let start, let end) = window.example.target {
          (scores[start * 2], scores[end * 2 + 1]) = (5, 5)
          found += start > 0 ? 1 : 0
        }
        return scores[...]
      }
      let answers = questions.answers(windows, outputs, threshold: 0)
      #expect(answers[1] == "")
      if windows.contains(where: {
        $0.question == 0 && $0.example.target != .span(start: 0, end: 0)
      }) {
        // Windows without the answer predict none, with an equal score.
        let best = questions.answers(windows, outputs, threshold: nil)[0]
        #expect(best == answer, "\(maxLength)")
      }
    }
    #expect(found >= 2)
  }

  @Test("windows cover the context and share tokens")
  func windowsCover() throws {
    let questions = try Questions(json: Self.file("Texas"))
    let tokenizer = try Self.tokenizer()
    let all = tokenizer.pieces(of: Self.context)
    let windows = questions.windows(tokenizer, maxLength: 16, stride: 3)
      .filter { $0.question == 0 }
    #expect(windows.count > 2)
    var covered: [Range<Int>] = []
    for (window, next) in zip(windows, windows.dropFirst()) {
      #expect(window.sources.suffix(3) == next.sources.prefix(3))
      covered += window.sources.dropLast(3)
    }
    covered += windows.last?.sources ?? []
    #expect(covered == all.sources)
    for window in windows {
      #expect(window.example.ids[window.tokens].count == window.sources.count)
      #expect(window.example.ids.last == tokenizer.frame.end)
      #expect(window.example.segments[window.tokens.lowerBound] == 1)
      #expect(window.example.segments[window.tokens.lowerBound - 1] == 0)
    }
  }

  @Test("answers at wrong offsets count in scores only, which is reported")
  func misplacedAnswers() throws {
    let questions = try Questions(json: Self.file("Texas", shift: 3))
    let answers = questions.questions[0].answers
    #expect(answers.map(\.text) == ["Texas"] && answers.map(\.source) == [nil])
    #expect(questions.description.notes.count == 1)
    #expect(
      questions.description.summary == "2 questions about contexts, 1 without an answer")
  }

  @Test(
    "other files are refused",
    arguments: [
      ("{}", "an array 'data'"), (#"{"data": []}"#, "the file has no questions"),
      (#"{"data": [{"paragraphs": [{"qas": []}]}]}"#, "data[0].paragraphs[0] lacks"),
      (#"{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "1"}]}]}]}"#, "qas[0] lacks"),
      (
        #"{"data": [{"paragraphs": [{"context": "x", "qas": [{"id": "1", "question": "q", "answers": [{"text": "x", "answer_start": -1}]}]}]}]}"#,
        "has an answer without"
      ),
    ])
  func refusals(json: String, message: String) {
    #expect { try Questions(json: Array(json.utf8)) } throws: { "\($0)".contains(message) }
  }
}
