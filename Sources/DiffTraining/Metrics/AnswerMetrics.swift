/// Scores of a predicted answer against the true ones, as in SQuAD (Rajpurkar et al. 2016).
public enum AnswerMetrics {
  /// Returns 1 if the answer is one of the true ones, normalized, else 0. For a question without
  /// answers, the empty answer is the true one.
  public static func exactMatch(_ prediction: String, _ truths: [String]) -> Double {
    let prediction = words(prediction)
    return (truths.isEmpty ? [""] : truths).contains { words($0) == prediction } ? 1 : 0
  }

  /// Returns the harmonic mean of precision and recall of the answer's words, with the true answer
  /// that is closest.
  public static func f1(_ prediction: String, _ truths: [String]) -> Double {
    let prediction = words(prediction)
    return (truths.isEmpty ? [""] : truths).map { f1(prediction, words($0)) }.max() ?? 0
  }

  private static func f1(
    _ prediction: [[Unicode.Scalar]], _ truth: [[Unicode.Scalar]]
  ) -> Double {
    // An empty answer is right only if the true one is empty.
    if prediction.isEmpty || truth.isEmpty { return prediction == truth ? 1 : 0 }
    var rest = Dictionary(grouping: truth, by: \.self).mapValues(\.count)
    var common = 0
    for word in prediction {
      if let count = rest[word], count > 0 {
        rest[word] = count - 1
        common += 1
      }
    }
    return 2 * Double(common) / Double(prediction.count + truth.count)
  }

  /// Returns the words of an answer as the official script does: in lower case, without ASCII
  /// punctuation, without the articles a, an, the, split at white space.
  static func words(_ answer: String) -> [[Unicode.Scalar]] {
    let kept = answer.lowercased().unicodeScalars.filter { !$0.isASCIIPunctuation }
      // Python's lower-case sigma depends on its neighbours, Swift's does not: both are one here.
      .map { $0 == "ς" ? "σ" : $0 }
    let articles = ["a", "an", "the"].map { Array($0.unicodeScalars) }
    var scalars: [Unicode.Scalar] = []
    // Articles are removed before splitting at white space, where no letter, digit or _ is beside.
    for run in kept.runs(where: \.isPythonWord) {
      scalars += articles.contains { $0.elementsEqual(run) } ? [" "] : Array(run)
    }
    return scalars.split(whereSeparator: \.isPythonSpace).map(Array.init)
  }
}

extension Collection<Unicode.Scalar> {
  /// Returns the elements in runs for which `test` gives the same result.
  fileprivate func runs(where test: (Unicode.Scalar) -> Bool) -> [SubSequence] {
    var runs: [SubSequence] = []
    var rest = self[...]
    while let first = rest.first {
      let answer = test(first)
      let run = rest.prefix { test($0) == answer }
      runs.append(run)
      rest = rest[run.endIndex...]
    }
    return runs
  }
}

extension Unicode.Scalar {
  fileprivate var isASCIIPunctuation: Bool {
    switch value {
    case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
    default: false
    }
  }

  /// True if Python's `\w` matches the scalar: letters, numbers of any kind, the low line.
  fileprivate var isPythonWord: Bool {
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
      .decimalNumber, .letterNumber, .otherNumber:
      true
    default: self == "_"
    }
  }

  /// True for white space, and for the four separators that Python counts as such.
  fileprivate var isPythonSpace: Bool {
    properties.isWhitespace || (0x1C...0x1F).contains(value)
  }
}
