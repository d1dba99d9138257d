import TensorCore

extension EncoderModel.Head {
  /// The prefix of its tensors' names.
  var name: String { self == .span ? "qa_outputs" : "classifier" }

  /// The number of outputs for a text, or for a token.
  var outputs: Int {
    switch self {
    case .classes(let count): count
    case .number: 1
    case .span: 2
    }
  }

  /// The targets of a batch.
  enum Targets {
    case labels([Int])
    case numbers([Float])
    case spans([(start: Int, end: Int)])
  }

  /// Returns the targets of a batch.
  ///
  /// - Throws: `usage` for targets that do not fit the head.
  func targets(of examples: [TokenExample]) throws(DiffError) -> Targets {
    var (labels, numbers, spans): ([Int], [Float], [(start: Int, end: Int)]) = ([], [], [])
    for (index, example) in examples.enumerated() {
      switch (self, example.target) {
      case (.classes(let count), .label(let label)) where 0..<count ~= label:
        labels.append(label)
      case (.number, .value(let value)) where value.isFinite: numbers.append(value)
      case (.span, .span(let start, let end))
      where 0 <= start && start <= end && end < example.ids.count:
        spans.append((start, end))
      default:
        throw DiffError(
          .usage,
          "example \(index) of the batch: the target \(example.target) does not fit the task")
      }
    }
    return switch self {
    case .classes: .labels(labels)
    case .number: .numbers(numbers)
    case .span: .spans(spans)
    }
  }
}
