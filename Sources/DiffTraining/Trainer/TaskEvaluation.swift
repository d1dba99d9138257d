import TensorCore

extension EncoderModel {
  /// Returns the model's outputs for examples, in batches.
  ///
  /// - Parameters:
  ///   - examples: The examples, in any order.
  ///   - values: The parameters.
  ///   - batchSize: The number of examples in a batch.
  ///   - ranks: The processes that share the batches; all get all predictions, which have the bits
  ///     of those of a single process.
  public func predictions(
    of examples: [TokenExample], at values: FloatBuffer, batchSize: Int = 64,
    sharedBy ranks: Ranks = Ranks()
  ) throws(DiffError) -> [[Float]] {
    var predictions = [[Float]](repeating: [], count: examples.count)
    let batches = Batches(size: batchSize, seed: 0).byLength(examples.map(\.length))
    // Of batches by length, each rank takes one in turn, so that ranks have about as many tokens.
    func own(_ rank: Int) -> [[Int]] {
      stride(from: rank, to: batches.count, by: ranks.count).map { batches[$0] }
    }
    try engine.fixing(values) { () throws(DiffError) in
      for batch in own(ranks.rank) {
        let outputs = try outputs(of: batch.map { examples[$0] }, at: values)
        for (index, place) in batch.enumerated() { predictions[place] = Array(outputs[index]) }
      }
    }
    try ranks.share(&predictions) { own($0).flatMap(\.self) }
    return predictions
  }
}

extension TaskFacts {
  /// Returns the class of the largest score; of several, the first.
  public static func chosenClass(_ scores: [Float]) -> Int {
    scores.indices.max { scores[$0] < scores[$1] } ?? 0
  }

  /// Returns the numbers of predictions of each class for each true class.
  func confusion(_ predictions: [[Float]], _ targets: [Target]) -> Confusion {
    Confusion(
      predictions: predictions.map(Self.chosenClass),
      truths: targets.map { if case .label(let label) = $0 { label } else { -1 } },
      classes: labels.count)
  }

  /// Returns the scores of predictions: `accuracy`, `macro_f1`, `matthews`, and with two classes
  /// `f1` of the second; or `pearson`, `spearman`, `mean_squared_error`. For answers see `TaskSet`.
  public func scores(
    _ predictions: [[Float]], _ targets: [Target]
  ) -> [String: Double] {
    switch kind {
    case .spans: return [:]
    case .classification:
      let confusion = confusion(predictions, targets)
      var scores = [
        "accuracy": confusion.accuracy, "macro_f1": confusion.macroF1,
        "matthews": confusion.matthews,
      ]
      if labels.count == 2 { scores["f1"] = confusion.f1(of: 1) }
      return scores
    case .regression:
      let truths = targets.map { target -> Double in
        if case .value(let value) = target { Double(value) } else { .nan }
      }
      let numbers = predictions.map { Double($0.first ?? .nan) }
      var errors = 0.0
      for (number, truth) in zip(numbers, truths) {
        errors += (number - truth) * (number - truth)
      }
      return [
        "pearson": Correlation.pearson(numbers, truths),
        "spearman": Correlation.spearman(numbers, truths),
        "mean_squared_error": errors / Double(max(1, truths.count)),
      ]
    }
  }
}
