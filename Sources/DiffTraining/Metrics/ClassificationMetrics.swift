/// The numbers of predictions of each class for each true class, from which accuracy, F1 and the
/// Matthews correlation are calculated.
public struct Confusion: Sendable, Hashable {
  /// `counts[truth * classes + prediction]`.
  public private(set) var counts: [Int]
  /// The number of classes.
  public let classes: Int

  /// Counts predictions.
  ///
  /// - Parameters:
  ///   - predictions: The predicted class of each example.
  ///   - truths: The correct class of each example.
  ///   - classes: The number of classes; pairs with a class outside 0 ..< classes are not counted.
  public init(predictions: some Sequence<Int>, truths: some Sequence<Int>, classes: Int) {
    self.classes = classes
    counts = Array(repeating: 0, count: classes * classes)
    let range = 0..<classes
    for (prediction, truth) in zip(predictions, truths)
    where range.contains(prediction) && range.contains(truth) {
      counts[truth * classes + prediction] += 1
    }
  }

  /// Returns the number of examples of a class that were predicted as another or the same class.
  public func count(truth: Int, prediction: Int) -> Int { counts[truth * classes + prediction] }

  /// Returns the number of examples of a class.
  public func truths(of one: Int) -> Int {
    (0..<classes).reduce(0) { $0 + count(truth: one, prediction: $1) }
  }

  private var total: Double { Double(counts.reduce(0, +)) }
  private var right: Double { (0..<classes).reduce(0) { $0 + both($1) } }
  private func both(_ one: Int) -> Double { Double(count(truth: one, prediction: one)) }
  private func truths(_ one: Int) -> Double { Double(truths(of: one)) }
  private func predictions(_ one: Int) -> Double {
    Double((0..<classes).reduce(0) { $0 + count(truth: $1, prediction: one) })
  }

  /// The share of predictions that are right; 0 if there are none.
  public var accuracy: Double { total == 0 ? 0 : right / total }

  /// Returns the share of the predictions of one class that are right; nil if there are none.
  public func precision(of one: Int) -> Double? {
    predictions(one) == 0 ? nil : both(one) / predictions(one)
  }

  /// Returns the share of the examples of one class that are found; nil if there are none.
  public func recall(of one: Int) -> Double? { truths(one) == 0 ? nil : both(one) / truths(one) }

  /// Returns the harmonic mean of precision and recall of one class; 0 if it neither occurs nor is
  /// predicted.
  public func f1(of one: Int) -> Double {
    guard (0..<classes).contains(one) else { return 0 }
    let sum = truths(one) + predictions(one)
    return sum == 0 ? 0 : 2 * both(one) / sum
  }

  /// The mean of F1 over the classes that occur or are predicted, as in scikit-learn; 0 if there
  /// are none.
  public var macroF1: Double {
    let present = (0..<classes).filter { truths($0) + predictions($0) > 0 }
    return present.isEmpty ? 0 : present.reduce(0) { $0 + f1(of: $1) } / Double(present.count)
  }

  /// The correlation of Matthews (1975), for several classes R_K of Gorodkin (2004); 0 if all
  /// predictions or all truths are of one class.
  public var matthews: Double {
    let truths = (0..<classes).map { self.truths($0) }
    let predictions = (0..<classes).map { self.predictions($0) }
    let joint = zip(truths, predictions).reduce(0) { $0 + $1.0 * $1.1 }
    let one = total * total - predictions.reduce(0) { $0 + $1 * $1 }
    let other = total * total - truths.reduce(0) { $0 + $1 * $1 }
    return one == 0 || other == 0 ? 0 : (right * total - joint) / (one * other).squareRoot()
  }

  /// True if all predictions are of one class, so that some metrics are undefined and 0.
  public var isConstant: Bool {
    (0..<classes).filter { predictions($0) > 0 }.count < 2
  }
}
