/// How often each class was predicted for each: what accuracy, F1 and Matthews are made of.
public struct Confusion: Sendable, Hashable {
  /// `counts[truth * classes + prediction]`.
  public private(set) var counts: [Int]
  /// How many classes there are.
  public let classes: Int

  /// Counts predictions.
  ///
  /// - Parameters:
  ///   - classes: How many there are; pairs with a class outside of 0 ..< classes are not counted.
  public init(predictions: some Sequence<Int>, truths: some Sequence<Int>, classes: Int) {
    self.classes = classes
    counts = Array(repeating: 0, count: classes * classes)
    let range = 0..<classes
    for (prediction, truth) in zip(predictions, truths)
    where range.contains(prediction) && range.contains(truth) {
      counts[truth * classes + prediction] += 1
    }
  }

  /// How often a class was predicted for another.
  public func count(truth: Int, prediction: Int) -> Int { counts[truth * classes + prediction] }

  /// How often a class occurs.
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

  /// The part that is right; 0 of nothing.
  public var accuracy: Double { total == 0 ? 0 : right / total }

  /// Of the predictions of one class, the part that is right; 0 if there are none.
  public func precision(of one: Int) -> Double {
    predictions(one) == 0 ? 0 : both(one) / predictions(one)
  }

  /// Of the examples of one class, the part that is found; 0 if there are none.
  public func recall(of one: Int) -> Double { truths(one) == 0 ? 0 : both(one) / truths(one) }

  /// The harmonic mean of precision and recall of one class; 0 if it neither occurs nor is
  /// predicted.
  public func f1(of one: Int) -> Double {
    guard (0..<classes).contains(one) else { return 0 }
    let sum = truths(one) + predictions(one)
    return sum == 0 ? 0 : 2 * both(one) / sum
  }

  /// The mean of F1 over the classes that occur or are predicted, as scikit-learn's; 0 of nothing.
  public var macroF1: Double {
    let present = (0..<classes).filter { truths($0) + predictions($0) > 0 }
    return present.isEmpty ? 0 : present.reduce(0) { $0 + f1(of: $1) } / Double(present.count)
  }

  /// The correlation of Matthews (1975), for several classes as R_K of Gorodkin (2004); 0 if all
  /// predictions or all truths are of one class.
  public var matthews: Double {
    let truths = (0..<classes).map { self.truths($0) }
    let predictions = (0..<classes).map { self.predictions($0) }
    let joint = zip(truths, predictions).reduce(0) { $0 + $1.0 * $1.1 }
    let one = total * total - predictions.reduce(0) { $0 + $1 * $1 }
    let other = total * total - truths.reduce(0) { $0 + $1 * $1 }
    return one == 0 || other == 0 ? 0 : (right * total - joint) / (one * other).squareRoot()
  }

  /// Whether all predictions are of one class, so that some metrics have no meaning and are 0.
  public var isConstant: Bool {
    (0..<classes).filter { predictions($0) > 0 }.count < 2
  }
}
