import DiffTraining
import StrictJSON
import Testing

@Suite struct MetricsTests {
  private let oracle: JSONValue

  init() throws { oracle = try Oracle("metrics.json").json }

  @Test("accuracy, F1 and Matthews are scikit-learn's")
  func classification() throws {
    let cases = try #require(oracle["classes"]?.elements)
    #expect(cases.count == 8)
    for example in cases {
      let confusion = Confusion(
        predictions: try #require(example["predictions"]).integers.map(Int.init),
        truths: try #require(example["truths"]).integers.map(Int.init),
        classes: Int(try #require(example["classes"]?.unsigned)))
      for (name, value) in [
        ("accuracy", confusion.accuracy), ("macro", confusion.macroF1),
        ("matthews", confusion.matthews),
      ] {
        #expect(abs(value - (example[name]?.double ?? .nan)) < 1e-12, "\(name), \(confusion)")
      }
      if confusion.classes == 2 {
        #expect(abs(confusion.f1(of: 1) - (example["f1"]?.double ?? .nan)) < 1e-12)
      }
    }
  }

  @Test("predictions of one class have correlation 0 and are marked as constant")
  func constantClasses() {
    let confusion = Confusion(predictions: [1, 1, 1], truths: [0, 1, 1], classes: 2)
    #expect(confusion.isConstant && confusion.matthews == 0 && confusion.f1(of: 0) == 0)
    #expect(confusion.precision(of: 0) == nil && confusion.recall(of: 0) == 0)
    let absent = Confusion(predictions: [0, 1], truths: [1, 1], classes: 2)
    #expect(absent.precision(of: 0) == 0 && absent.recall(of: 0) == nil)
    let nothing = Confusion(predictions: [Int](), truths: [Int](), classes: 2)
    #expect(nothing.accuracy == 0 && nothing.macroF1 == 0 && nothing.matthews == 0)
    #expect(Confusion(predictions: [5, -1, 0], truths: [0, 1, 0], classes: 2).accuracy == 1)
  }

  @Test("Pearson's and Spearman's correlations are SciPy's")
  func correlations() throws {
    let cases = try #require(oracle["numbers"]?.elements)
    #expect(cases.count == 5)
    for example in cases {
      let x = (example["x"]?.elements ?? []).compactMap(\.double)
      let y = (example["y"]?.elements ?? []).compactMap(\.double)
      #expect(
        abs(Correlation.pearson(x, y) - (example["pearson"]?.double ?? .nan)) < 1e-12)
      #expect(
        abs(Correlation.spearman(x, y) - (example["spearman"]?.double ?? .nan)) < 1e-12)
    }
  }

  @Test(
    "undefined correlations are 0",
    arguments: [
      ([], []), ([1], [2]), ([1, 1, 1], [1, 2, 3]), ([1, 2], [.nan, 1]),
      ([1, .infinity], [1, 2]),
    ] as [([Double], [Double])])
  func degenerateCorrelations(x: [Double], y: [Double]) {
    #expect(Correlation.pearson(x, y) == 0)
    #expect(Correlation.spearman(x, y) == 0)
  }

  @Test("answers are compared as SQuAD defines it")
  func answers() throws {
    let cases = try #require(oracle["answers"]?.elements)
    #expect(cases.count == 20)
    for example in cases {
      let prediction = try #require(example["prediction"]?.text)
      let truths = (example["truths"]?.elements ?? []).compactMap(\.text)
      #expect(
        AnswerMetrics.exactMatch(prediction, truths) == example["exact"]?.double,
        "\(prediction.debugDescription)")
      #expect(
        abs(AnswerMetrics.f1(prediction, truths) - (example["f1"]?.double ?? .nan)) < 1e-12,
        "\(prediction.debugDescription)")
    }
  }
}
