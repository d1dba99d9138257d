import DiffTraining
import Kernels
import StrictJSON
import TensorCore
import Testing

@Suite struct AdamWTests {
  @Test("twenty steps are PyTorch's, with warm-up, clipping, decay and sparse rows")
  func equalsPyTorch() throws {
    let runs = try #require(Oracle("adamw.json").json.elements)
    var random = SplitMix64(seed: 4)
    func numbers(_ count: Int, _ scale: Double) -> [Float] {
      (0..<count).map { _ in Float((Double(random.next() >> 40) / 0x1p23 - 1) * scale) }
    }
    #expect(runs.count == 3)
    for run in runs {
      let (layout, values) = try Self.parameters(numbers(15, 0.5), numbers(24, 0.5))
      var options = AdamW.Options()
      options.decay = try #require(run["decay"]?.double)
      options.clipping.limit = run["clip"]?.double.map { Float($0) }
      let optimizer = AdamW(layout, parameters: [0, 1], options: options)
      let gradients = Gradients(layout)
      let schedule = Schedule(peak: 1e-2, warmUp: 5, total: 20)
      var expected = try #require(run["steps"]?.elements)[...]
      for step in 0..<20 {
        gradients.clear()
        Self.write(numbers(15, 0.1), to: gradients.values, at: 0)
        for row in [step % 3, 4] where row != 4 || step == 2 || step == 9 {
          gradients.touch(row: row, of: 1)
          Self.write(
            numbers(4, step % 4 == 0 ? 1e-7 : 0.1), to: gradients.values, at: 16 + row * 4)
        }
        let norm = optimizer.step(values, gradients, rate: schedule.rate(at: step))
        guard step % 4 == 0 || step == 19, let oracle = expected.popFirst() else { continue }
        #expect(abs(norm - (oracle["norm"]?.double ?? .nan)) < 1e-6)
        let matrix = oracle["matrix"]?.elements?.compactMap(\.double) ?? []
        let table = oracle["table"]?.elements?.compactMap(\.double) ?? []
        #expect(matrix.count == 15 && table.count == 24)
        let found = values.span
        for (index, value) in (matrix + [0] + table).enumerated() {
          #expect(abs(Double(found[index]) - value) < 1e-6, "step \(step), element \(index)")
        }
      }
      #expect(expected.isEmpty)
    }
  }

  @Test("a row without gradients for long has the values of dense Adam")
  func sleepingRows() throws {
    let (layout, sparse) = try Self.parameters([], Array(repeating: 0.25, count: 24))
    let (_, dense) = try Self.parameters([], Array(repeating: 0.25, count: 24))
    let rows = AdamW(layout, parameters: [1])
    // A decay too small to have an effect makes it update every row.
    var options = AdamW.Options()
    options.decay = 1e-30
    let all = AdamW(layout, parameters: [1], options: options)
    let gradients = Gradients(layout)
    for step in 0..<900 {
      gradients.clear()
      for row in [0, 1] where row == 0 || step == 3 || step == 850 {
        gradients.touch(row: row, of: 1)
        Self.write([0.1, -0.2, Float(step) * 1e-3, 1e-5], to: gradients.values, at: 16 + row * 4)
      }
      rows.step(sparse, gradients, rate: 1e-3)
      all.step(dense, gradients, rate: 1e-3)
    }
    let (found, expected) = (sparse.span, dense.span)
    for index in 16..<40 { #expect(abs(found[index] - expected[index]) < 1e-7) }
    #expect(found[20] != 0.25)
    #expect(found[24] == 0.25)
    #expect(rows.state.lastTouched == [1: [900, 851, 0, 0, 0, 0]])
  }

  @Test("a stored state continues bit for bit")
  func stateIsComplete() throws {
    func run(stops: Bool) throws -> [Float] {
      let (layout, values) = try Self.parameters(
        Array(repeating: 1, count: 15), Array(repeating: 1, count: 24))
      var optimizer = AdamW(layout, parameters: [0, 1])
      let gradients = Gradients(layout)
      for step in 0..<300 {
        if stops && step == 250 {
          let next = AdamW(layout, parameters: [0, 1])
          next.state = optimizer.state
          next.first.copy(optimizer.first)
          next.second.copy(optimizer.second)
          optimizer = next
        }
        gradients.clear()
        if step < 10 || step > 260 {
          gradients.touch(row: 3, of: 1)
          Self.write([1, 2, 3, Float(step)], to: gradients.values, at: 28)
        }
        Self.write([Float(step)], to: gradients.values, at: 7)
        optimizer.step(values, gradients, rate: 1e-2)
      }
      let span = values.span
      return span.indices.map { span[$0] }
    }
    #expect(try run(stops: true) == run(stops: false))
  }

  @Test("gradients that are not finite move nothing")
  func refusesNaN() throws {
    let (layout, values) = try Self.parameters([1], [1])
    let optimizer = AdamW(layout, parameters: [0])
    let gradients = Gradients(layout)
    Self.write([.nan], to: gradients.values, at: 3)
    #expect(optimizer.step(values, gradients, rate: 1).isNaN)
    #expect(optimizer.steps == 0)
    #expect(values.span[0] == 1 && values.span[3] == 0)
  }

  @Test("globs freeze what they name, never the head")
  func freezing() throws {
    var layout = ParameterLayout()
    for name in ["embeddings.word", "layer.0.weight", "layer.10.weight"] {
      try layout.append("bert.\(name)", #require(Shape([2])))
    }
    try layout.append("head.weight", #require(Shape([2])), isHead: true)
    #expect(layout.trainable(frozen: []).places == [0, 1, 2, 3])
    #expect(layout.trainable(frozen: ["*"]).places == [3])
    #expect(layout.trainable(frozen: ["bert.layer.?.*"]).places == [0, 2, 3])
    #expect(layout.trainable(frozen: ["*.we*ht", "*word"]).places == [3])
    let (places, unused) = layout.trainable(frozen: ["bert.layer", "*10*", "**0**weigh", "head*"])
    #expect(places == [0, 1, 3])
    #expect(unused == ["bert.layer", "**0**weigh", "head*"])
  }

  private static func parameters(
    _ matrix: [Float], _ table: [Float]
  ) throws -> (ParameterLayout, FloatBuffer) {
    var layout = ParameterLayout()
    try layout.append("matrix", #require(Shape([15])))
    try layout.append("table", #require(Shape([6, 4])), isTable: true)
    let values = FloatBuffer(count: layout.count)
    write(matrix, to: values, at: 0)
    write(table, to: values, at: 16)
    return (layout, values)
  }

  private static func write(_ numbers: [Float], to buffer: FloatBuffer, at start: Int) {
    var span = buffer.mutableSpan
    for (index, number) in numbers.enumerated() { span[start + index] = number }
  }
}
