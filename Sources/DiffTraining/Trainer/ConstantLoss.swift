import Platform

extension EncoderModel {
  /// Returns the mean loss of the best outputs that are the same for every example: what a model has
  /// that learned nothing from the texts. Nil for answers in a text, and for no examples.
  package func constantLoss(of examples: [TokenExample]) -> Double? {
    let total = Double(examples.count)
    switch head {
    case .classes(let count):
      var sums = [Double](repeating: 0, count: count)
      for case .label(let label) in examples.lazy.map(\.target) where sums.indices.contains(label) {
        sums[label] += classWeights?[label] ?? 1
      }
      let sum = sums.reduce(0, +)
      guard sum > 0 else { return nil }
      return sums.reduce(0) { $1 > 0 ? $0 - $1 * log($1 / sum) : $0 } / total
    case .number:
      let values = examples.compactMap { example in
        if case .value(let value) = example.target { Double(value) } else { nil }
      }
      guard !values.isEmpty else { return nil }
      let mean = values.reduce(0, +) / Double(values.count)
      return values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)
    case .span: return nil
    }
  }
}
