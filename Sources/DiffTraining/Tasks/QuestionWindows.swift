import SystemSupport
import TensorCore

/// A question with as much of its context as fits a sequence.
public struct QuestionWindow: Sendable, Hashable {
  /// The sequence: question, window. Its target is the first answer if that is in the window
  /// as a whole, else the first token, [CLS].
  public let example: TokenExample
  /// The index of the question.
  public let question: Int
  /// The range of the window's tokens in the sequence.
  public let tokens: Range<Int>
  /// The source of each of the window's tokens, in bytes of the context's UTF-8.
  public let sources: [Range<Int>]
}

extension Questions {
  /// Returns the windows of all questions, in their order. A long context has several, each of
  /// which begins `stride` tokens before the end of the previous one. O(bytes), on all cores.
  ///
  /// - Parameters:
  ///   - tokenizer: The tokenizer of the model.
  ///   - maxLength: The most tokens in a sequence; a question takes at most half of it.
  ///   - stride: The number of tokens that consecutive windows share.
  public func windows(
    _ tokenizer: some Tokenizer, maxLength: Int, stride: Int
  ) -> [QuestionWindow] {
    var windows = [[QuestionWindow]](repeating: [], count: questions.count)
    // Nothing is thrown; the compiler cannot infer that.
    try? parallelForEach(&windows) { index, out throws(DiffError) in
      out = self.windows(of: index, tokenizer, maxLength, stride)
    }
    return windows.flatMap(\.self)
  }

  private func windows(
    of index: Int, _ tokenizer: some Tokenizer, _ maxLength: Int, _ stride: Int
  ) -> [QuestionWindow] {
    let question = questions[index]
    let asked = tokenizer.pieces(of: question.text).ids.prefix(maxLength / 2)
    let context = tokenizer.pieces(of: question.context)
    let special = tokenizer.frame.count(pair: true)
    let capacity = max(1, maxLength - special - asked.count)
    let step = max(1, capacity - max(0, stride))
    // The number of tokens before the context: of the question and its separators.
    let before = special - 1 + asked.count
    var windows: [QuestionWindow] = []
    var start = 0
    repeat {
      let part = start..<min(start + capacity, context.ids.count)
      let encoding = tokenizer.encode(asked, context.ids[part], maxLength: .max)
      let sources = Array(context.sources[part])
      windows.append(
        QuestionWindow(
          example: TokenExample(
            ids: encoding.ids,
            segments: encoding.typeIDs.contains { $0 != 0 } ? encoding.typeIDs : [],
            target: Self.target(
              question.answers.first { $0.source != nil }, sources, before)),
          question: index, tokens: before..<before + part.count, sources: sources))
      if part.upperBound == context.ids.count { break }
      start += step
    } while true
    return windows
  }

  /// Returns the tokens in which an answer begins and ends, if the window has all of it.
  private static func target(
    _ answer: Answer?, _ sources: [Range<Int>], _ before: Int
  ) -> Target {
    guard let answer = answer?.source,
      let first = sources.lastIndex(where: { $0.lowerBound <= answer.lowerBound }),
      let last = sources.firstIndex(where: { $0.upperBound >= answer.upperBound }),
      first <= last, sources[first].upperBound > answer.lowerBound
    else { return .span(start: 0, end: 0) }
    return .span(start: before + first, end: before + last)
  }

  /// Returns the best answer to each question: the range of a window with the greatest sum of the
  /// scores of its ends, if that exceeds the score of no answer by more than `threshold`.
  ///
  /// - Parameters:
  ///   - windows: Windows of these questions.
  ///   - outputs: For each window, [tokens of the sequence, 2]: the scores of each token as the
  ///     first and as the last of the answer.
  ///   - longest: The maximum number of tokens in an answer.
  ///   - threshold: Nil to answer every question, as in SQuAD 1.1.
  /// - Returns: Answers by the index of the question; "" for none.
  /// - Complexity: O(tokens · longest).
  public func answers(
    _ windows: [QuestionWindow], _ outputs: [ArraySlice<Float>], longest: Int = 30,
    threshold: Float?
  ) -> [String] {
    var best = [(score: Float, source: Range<Int>)?](repeating: nil, count: questions.count)
    var none = [Float](repeating: .infinity, count: questions.count)
    for (window, scores) in zip(windows, outputs)
    where scores.count >= window.example.ids.count * 2
      && questions.indices.contains(window.question)
    {
      let base = scores.startIndex
      none[window.question] = min(none[window.question], scores[base] + scores[base + 1])
      for first in window.tokens {
        let end = min(window.tokens.upperBound, first + max(1, longest))
        for last in first..<end {
          let score = scores[base + first * 2] + scores[base + last * 2 + 1]
          guard score > best[window.question]?.score ?? -.infinity else { continue }
          let from = window.sources[first - window.tokens.lowerBound].lowerBound
          let to = window.sources[last - window.tokens.lowerBound].upperBound
          best[window.question] = (score, from..<max(from, to))
        }
      }
    }
    return questions.indices.map { index in
      guard let found = best[index] else { return "" }
      if let threshold, !(found.score > none[index] + threshold) { return "" }
      let bytes = Array(questions[index].context.utf8)
      return String(decoding: bytes[found.source.clamped(to: 0..<bytes.count)], as: UTF8.self)
    }
  }
}
