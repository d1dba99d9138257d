import TensorCore

/// How much examples of each class count in the loss.
public enum ClassWeights: Sendable, Hashable, Codable {
  /// The rarer a class, the more each of its examples: all classes together count alike, and the
  /// mean over the examples is 1.
  case balanced
  /// Weights in the order of the labels.
  case given([Double])

  /// `balanced`, or numbers with commas between.
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

  /// As `encode` writes it.
  public init(from decoder: any Decoder) throws {
    let text = try decoder.singleValueContainer().decode(String.self)
    guard let weights = ClassWeights(text) else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(
          codingPath: decoder.codingPath,
          debugDescription: "'balanced' or numbers with commas between are wanted"))
    }
    self = weights
  }

  /// As `init` reads it.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .balanced: try container.encode("balanced")
    case .given(let weights):
      try container.encode(weights.map { "\($0)" }.joined(separator: ","))
    }
  }

  /// The weight of each class.
  ///
  /// - Throws: `usage` if there are others than these.
  func weights(_ classes: Int, _ targets: [Target]) throws(DiffError) -> [Double] {
    switch self {
    case .given(let weights):
      guard weights.count == classes else {
        throw DiffError(.usage, "\(weights.count) weights for \(classes) classes")
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
  /// Makes examples of each class count as they should.
  ///
  /// - Throws: `usage` where no classes are learned, or others.
  public func weigh(_ weights: ClassWeights, _ examples: [TokenExample]) throws(DiffError) {
    guard case .classes(let count) = head else {
      throw DiffError(.usage, "classes have weights, and this task has none")
    }
    classWeights = try weights.weights(count, examples.map(\.target))
  }
}
