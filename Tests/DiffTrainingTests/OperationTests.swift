import DiffTraining
import Kernels
import TensorCore
import Testing

/// Every operation against finite differences. The operations are in float32, so the differences
/// are of fourth order with a step of 0.02, and directions must agree within 2e-3 of the norm of
/// the gradient.
@Suite struct OperationTests {
  /// Parameters "x", …, and the loss that a tape calculates from them.
  private func check(
    _ shapes: [(TensorName, [UInt64])], threads: Int = 2,
    _ loss: (Tape, (TensorName) -> ParameterLayout.Parameter) -> Double
  ) throws {
    var layout = ParameterLayout()
    for (name, extents) in shapes {
      try layout.append(name, #require(Shape(extents)), isTable: name == "table")
    }
    func parameter(_ name: TensorName) -> ParameterLayout.Parameter {
      guard let parameter = layout[name] else { preconditionFailure("no \(name)") }
      return parameter
    }
    var random = SplitMix64(seed: 11)
    let values = FloatBuffer(count: layout.count)
    for parameter in layout.parameters {
      values.fill(
        parameter.range.map { _ in Float(random.gaussian()) }, at: parameter.range.lowerBound)
    }
    let engine = try Engine(threads: threads)
    func calculate(_ values: FloatBuffer, _ gradients: Gradients) -> (Tape, Double) {
      let tape = Tape(
        engine, parameters: values, gradients: gradients, dropout: Dropout(seed: 3, step: 5))
      return (tape, loss(tape, parameter))
    }
    let gradients = Gradients(layout)
    calculate(values, gradients).0.pullBack(scale: 1)
    let unused = Gradients(layout)
    for parameter in layout.parameters {
      let gradient = gradients.values.elements(parameter.range).map(Double.init)
      let norm = gradient.reduce(0) { $0 + $1 * $1 }.squareRoot()
      #expect(norm > 1e-3, "\(parameter.name)")
      for trial in 0..<4 {
        var direction = gradient.map { _ in random.gaussian() }
        if trial == 0 { direction = gradient }
        let length = direction.reduce(0) { $0 + $1 * $1 }.squareRoot()
        direction = direction.map { $0 / length }
        let start = values.elements(parameter.range)
        func at(_ step: Double) -> Double {
          values.fill(
            zip(start, direction).map { Float(Double($0) + step * $1) },
            at: parameter.range.lowerBound)
          defer { values.fill(start, at: parameter.range.lowerBound) }
          return calculate(values, unused).1
        }
        let h = 0.02
        let difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        let expected = zip(gradient, direction).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(
          abs(difference - expected) < 2e-3 * norm,
          "\(parameter.name), direction \(trial): \(difference) beside \(expected)")
      }
    }
  }

  /// Records a loss that depends on every element of a matrix.
  private func loss(
    _ tape: Tape, _ y: Tape.Variable, _ projection: ParameterLayout.Parameter
  ) -> Double {
    tape.squaredError(
      tape.linear(y, projection), targets: (0..<y.rows).map { Float($0) * 0.5 - 1 })
  }

  private func all(_ rows: Int) -> [Int32] { (0..<Int32(rows)).map { $0 } }

  @Test("embed: several tables, rows that occur again")
  func embed() throws {
    try check([("table", [5, 6]), ("positions", [3, 6]), ("out", [1, 6])]) { tape, name in
      let x = tape.embed([(name("table"), [4, 0, 4]), (name("positions"), [0, 1, 2])])
      return loss(tape, x, name("out"))
    }
  }

  @Test(
    "linear, with a bias and every smooth activation",
    arguments: [nil, .gelu, .geluTanh, .tanh] as [Activation?])
  func linear(_ activation: Activation?) throws {
    try check([("x", [7, 6]), ("w", [5, 6]), ("b", [5]), ("out", [1, 5])]) { tape, name in
      let x = tape.embed([(name("x"), all(7))])
      let y = tape.linear(x, name("w"), bias: name("b"), activation: activation)
      return loss(tape, y, name("out"))
    }
  }

  @Test("activate, and a variable that is used twice", arguments: [Activation.gelu, .tanh])
  func activate(_ activation: Activation) throws {
    try check([("x", [4, 6]), ("w", [6, 6]), ("out", [1, 6])], threads: 3) { tape, name in
      let x = tape.embed([(name("x"), all(4))])
      let y = tape.linear(tape.activate(x, activation), name("w"))
      return loss(tape, y, name("out")) + loss(tape, x, name("out"))
    }
  }

  @Test("normalize, with a residual and dropout")
  func normalize() throws {
    try check([("x", [6, 20]), ("z", [6, 20]), ("g", [20]), ("s", [20]), ("out", [1, 20])]) {
      tape, name in
      let y = tape.normalize(
        tape.embed([(name("x"), all(6))]), plus: tape.embed([(name("z"), all(6))]),
        dropout: 0.3, gain: name("g"), shift: name("s"), epsilon: 1e-5)
      return loss(tape, y, name("out"))
    }
  }

  @Test("drop, rows and mean")
  func dropRowsMean() throws {
    try check([("x", [9, 5]), ("out", [1, 5])]) { tape, name in
      let x = tape.drop(tape.embed([(name("x"), all(9))]), rate: 0.4)
      return loss(tape, tape.rows([0, 4, 5], of: x), name("out"))
        + loss(tape, tape.mean(x, offsets: [0, 4, 5, 9]), name("out"))
    }
  }

  @Test("attend: sequences of several lengths, all queries or the first, with dropout")
  func attend() throws {
    let shapes: [(TensorName, [UInt64])] = [
      ("q", [8, 12]), ("k", [8, 12]), ("v", [8, 12]), ("out", [1, 12]),
    ]
    for (queries, offsets) in [([0, 5, 6, 8], [0, 5, 6, 8]), ([0, 1, 2, 3], [0, 5, 6, 8])] {
      try check(shapes) { tape, name in
        let q = tape.embed([(name("q"), all(queries.last ?? 0))])
        let y = tape.attend(
          queries: q, keys: tape.embed([(name("k"), all(8))]),
          values: tape.embed([(name("v"), all(8))]), queryOffsets: queries, offsets: offsets,
          heads: 3, dropout: 0.2)
        return loss(tape, y, name("out"))
      }
    }
  }

  @Test("losses: classes, numbers and spans")
  func losses() throws {
    try check([("x", [5, 4])]) { tape, name in
      tape.crossEntropy(tape.embed([(name("x"), all(5))]), labels: [0, 3, 3, 1, 2])
    }
    try check([("x", [5, 2])]) { tape, name in
      tape.spanLoss(
        tape.embed([(name("x"), all(5))]), offsets: [0, 1, 5], spans: [(0, 0), (1, 3)])
    }
  }

  @Test("losses have the values of their formulas")
  func lossValues() throws {
    let engine = try Engine(threads: 1)
    let tape = Tape(engine, parameters: FloatBuffer(count: 1))
    let scores = tape.constant([0, 0, 0, 0, 0, 0], rows: 3, columns: 2)
    #expect(abs(tape.crossEntropy(scores, labels: [0, 1, 1]) - 3 * 0.6931471805599453) < 1e-12)
    let span = tape.spanLoss(scores, offsets: [0, 3], spans: [(0, 2)])
    #expect(abs(span - 1.0986122886681098) < 1e-12)
    let numbers = tape.constant([1, 2], rows: 2, columns: 1)
    #expect(tape.squaredError(numbers, targets: [0, 4]) == 5)
  }
}
