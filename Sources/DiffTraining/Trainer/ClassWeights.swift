import TensorCore

/// The weights of the examples of each class in the loss.
public enum ClassWeights: Sendable, Hashable, Codable {
  /// Weights in inverse proportion to the frequency of a class: all classes have equal sums, and
  /// the mean over the examples is 1.
  case balanced
  /// Weights in the order of the labels.
  case given([Double])

  /// Parses `balanced`, or numbers separated by commas.
  public init?(_ text: String) {
    if text == "balanced" {
      self = .balanced
      return
    }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let weights = parts.compactMap { Double($0) }.filter { $0 > 0 && $0.isFinite }
    guard weights.count == parts.count else { return nil }
    self = .given(weights)
  }

  /// Reads the text that `encode` writes.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let weights = ClassWeights(text) else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath,
          debugDescription: "expected 'balanced' or numbers separated by commas"))
    }
    self = weights
  }

  /// Writes the text that `init` reads.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .balanced: try container.encode("balanced")
    case .given(let weights):
      try container.encode(weights.map { "\($0)" }.joined(separator: ","))
    }
  }

  /// Returns the weight of each class.
  ///
  /// - Throws: `usage` if there is another number of weights.
  func weights(_ classes: Int, _ targets: [Target]) throws(DiffError) -> [Double] {
    switch self {
    case .given(let weights):
      guard weights.count == classes else {
        throw DiffError(.usage, "\(weights.count.counted("weight")) for \(classes) classes")
      }
      return weights
    case .balanced:
      var counts = [Int](repeating: 0, count: classes)
      for case .label(let label) in targets where counts.indices.contains(label) {
        counts[label] += 1
      }
      let total = Double(counts.reduce(0, +))
      return counts.map { $0 == 0 ? 1 : total / (Double(classes) * Double($0)) }
    }
  }
}

extension EncoderModel {
  /// Sets the weights of the examples of each class.
  ///
  /// - Throws: `usage` if the task has no classes, or another number of them.
  public func weigh(_ weights: ClassWeights, _ examples: [TokenExample]) throws(DiffError) {
    guard case .classes(let count) = head else {
      throw DiffError(.usage, "class weights apply to tasks with classes only")
    }
    classWeights = try weights.weights(count, examples.map(\.target))
  }
}
