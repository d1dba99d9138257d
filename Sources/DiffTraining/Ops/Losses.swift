import Kernels
import Platform

extension Tape {
  /// Records the cross-entropy of the softmax of each row as a loss.
  ///
  /// - Parameters:
  ///   - scores: [examples, classes].
  ///   - labels: The correct class of each example.
  ///   - weights: The weight of an example of each class; nil for equal weights.
  /// - Returns: The sum over the examples, in nats.
  public func crossEntropy(
    _ scores: Variable, labels: [Int], weights: [Double]? = nil
  ) -> Double {
    precondition(labels.count == scores.rows)
    let slopes = engine.arena.take(rows: scores.rows, columns: scores.columns)
    var loss = 0.0
    for (row, label) in labels.enumerated() {
      loss += crossEntropy(
        value(of: scores).rows(row..<row + 1), label, slopes.rows(row..<row + 1),
        weight: weights?[label] ?? 1)
    }
    record(Loss(input: scores, slopes: slopes))
    return loss
  }

  /// Records the squared difference between each row's only element and its target as a loss.
  ///
  /// - Parameters:
  ///   - outputs: [examples, 1].
  ///   - targets: The target of each example.
  /// - Returns: The sum over the examples.
  public func squaredError(_ outputs: Variable, targets: [Float]) -> Double {
    precondition(targets.count == outputs.rows && outputs.columns == 1)
    let slopes = engine.arena.take(rows: outputs.rows, columns: 1)
    var loss = 0.0
    for (row, target) in targets.enumerated() {
      let difference = value(of: outputs)[row, 0] - target
      slopes[row, 0] = 2 * difference
      loss += Double(difference) * Double(difference)
    }
    record(Loss(input: outputs, slopes: slopes))
    return loss
  }

  /// Records the mean of two cross-entropies over the tokens of each sequence as a loss: of the
  /// start and of the end of the answer.
  ///
  /// - Parameters:
  ///   - scores: [tokens, 2].
  ///   - offsets: The first token of each sequence, and the end of the last sequence.
  ///   - spans: The first and the last token of each sequence's answer, relative to the sequence.
  /// - Returns: The sum over the sequences, in nats.
  public func spanLoss(
    _ scores: Variable, offsets: [Int], spans: [(start: Int, end: Int)]
  ) -> Double {
    precondition(spans.count == offsets.count - 1 && scores.columns == 2)
    let slopes = engine.arena.take(rows: scores.rows, columns: 2)
    var loss = 0.0
    for (sequence, span) in spans.enumerated() {
      let tokens = offsets[sequence]..<offsets[sequence + 1]
      for (column, token) in [span.start, span.end].enumerated() {
        loss += crossEntropy(
          value(of: scores).rows(tokens).columns(column..<column + 1), token,
          slopes.rows(tokens).columns(column..<column + 1), weight: 0.5)
      }
    }
    record(Loss(input: scores, slopes: slopes))
    return loss
  }

  /// Returns `weight` times the cross-entropy of the softmax of all elements, in float64, and
  /// writes its gradient to `slopes`.
  private func crossEntropy(
    _ scores: FloatMatrix, _ label: Int, _ slopes: FloatMatrix, weight: Double
  ) -> Double {
    let elements = scores.elements.map(Double.init)
    let greatest = elements.max() ?? 0
    let sum = elements.reduce(0) { $0 + exp($1 - greatest) }
    for (index, element) in elements.enumerated() {
      let probability = exp(element - greatest) / sum
      let (row, column) = index.quotientAndRemainder(dividingBy: scores.columns)
      slopes[row, column] = Float(weight * (probability - (index == label ? 1 : 0)))
    }
    return weight * (log(sum) + greatest - elements[label])
  }
}

/// A loss whose gradient with respect to its input is already known.
private struct Loss: Operation {
  let input: Tape.Variable
  /// [rows, columns].
  let slopes: FloatMatrix

  var output: Tape.Variable? { nil }
  var saved: [FloatMatrix] { [slopes] }

  func pullBack(on tape: Tape) {
    guard let d = tape.gradientToAdd(of: input) else { return }
    Kernels.scale(slopes, by: tape.scale)
    Kernels.put(slopes, into: d.matrix, adding: d.adding)
  }
}
