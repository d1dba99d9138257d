import Checkpoints
import DiffTraining
import Kernels
import TensorCore
import Testing
import TestSupport

/// Products with packed weights, in either precision, against sums in float64.
@Suite struct PrecisionTests {
  /// x Wᵀ + b of random matrices, and the gradients of half the squared norm of it.
  private struct Layer {
    var outputs: [Float]
    var gradient: [Float]
    var expected: [Double]

    let layout: ParameterLayout

    /// - Parameter parameters: The parameters whose gradients are required; nil for all.
    init(
      _ rows: Int, _ inputs: Int, _ width: Int, threads: Int, _ precision: Precision,
      only parameters: [Int]? = nil
    ) throws {
      var layout = ParameterLayout()
      try layout.append("x", #require(Shape([UInt64(rows), UInt64(inputs)])), isTable: true)
      try layout.append("weight", #require(Shape([UInt64(width), UInt64(inputs)])))
      try layout.append("bias", Shape(vector: UInt64(width)))
      self.layout = layout
      let values = FloatBuffer(count: layout.count)
      var random = SplitMix64(seed: 7)
      for parameter in layout.parameters {
        values.fill(
          parameter.range.map { _ in Float(random.gaussian()) }, at: parameter.range.lowerBound)
      }
      let gradients = Gradients(layout)
      if let parameters { gradients.want(only: parameters) }
      let tape = Tape(
        try Engine(threads: threads, precision: precision), parameters: values, gradients: gradients
      )
      // As a table, since inputs have no stored gradients.
      let x = tape.embed([(layout.parameters[0], (0..<Int32(rows)).map { $0 })])
      let y = tape.linear(x, layout.parameters[1], bias: layout.parameters[2])
      outputs = tape.value(of: y).elements
      _ = tape.crossEntropy(y, labels: (0..<rows).map { $0 % width })
      tape.pullBack(scale: 1)
      gradient = gradients.values.elements(0..<layout.count)
      let offsets = layout.parameters.map(\.range.lowerBound)
      expected = []
      let numbers = values.elements(0..<layout.count).map(Double.init)
      for row in 0..<rows {
        for output in 0..<width {
          expected.append(
            (0..<inputs).reduce(numbers[offsets[2] + output]) {
              $0 + numbers[offsets[0] + row * inputs + $1]
                * numbers[offsets[1] + output * inputs + $1]
            })
        }
      }
    }
  }

  /// Rows, inputs, outputs: even and odd numbers, more rows than one product has.
  static let shapes = [(64, 128, 128), (33, 130, 131), (300, 128, 192), (600, 257, 70)]

  @Test("packed products are right for any shape and number of threads", arguments: shapes)
  func packedProducts(rows: Int, inputs: Int, width: Int) throws {
    for threads in 1...3 {
      let layer = try Layer(rows, inputs, width, threads: threads, .f32)
      let difference = relativeDifference(layer.outputs, layer.expected.map { Float($0) })
      #expect(difference < 1e-6, "\(threads) threads")
    }
  }

  @Test(
    "bf16 rounds factors to 8 bits and sums in float32: within 2⁻⁸ of the norm, gradients within 2 %",
    .enabled(if: Precision.bf16.isAvailable, "needs a processor with bf16"), arguments: shapes)
  func halfProducts(rows: Int, inputs: Int, width: Int) throws {
    let whole = try Layer(rows, inputs, width, threads: 2, .f32)
    for threads in 1...3 {
      let half = try Layer(rows, inputs, width, threads: threads, .bf16)
      let difference = relativeDifference(half.outputs, whole.outputs)
      #expect(difference < 0x1p-8 && difference > 1e-5, "\(threads) threads")
      #expect(relativeDifference(half.gradient, whole.gradient) < 0.02, "\(threads) threads")
      let again = try Layer(rows, inputs, width, threads: threads, .bf16)
      #expect(again.outputs == half.outputs && again.gradient == half.gradient)
    }
  }

  @Test("gradients that are not required are left out, the others have the same bits")
  func wantedGradients() throws {
    for precision in Precision.allCases where precision.isAvailable {
      let all = try Layer(300, 128, 192, threads: 2, precision)
      for required in [[0], [1], [2], [0, 1], [0, 2], [1, 2], []] {
        let some = try Layer(300, 128, 192, threads: 2, precision, only: required)
        for parameter in all.layout.parameters {
          let isRight =
            required.contains(parameter.index)
            ? some.gradient[parameter.range] == all.gradient[parameter.range]
            : some.gradient[parameter.range].allSatisfy { $0 == 0 }
          #expect(isRight, "\(precision) \(required) \(parameter.name)")
        }
      }
    }
  }

  @Test("rounding to bf16 is to nearest even, and keeps NaN")
  func rounding() {
    let cases: [(Float, UInt16)] = [
      (1, 0x3F80), (-2.5, 0xC020), (Float(bitPattern: 0x3F80_8000), 0x3F80),
      (Float(bitPattern: 0x3F81_8000), 0x3F82), (Float(bitPattern: 0x3F80_8001), 0x3F81),
      (.greatestFiniteMagnitude, 0x7F80), (-.infinity, 0xFF80), (0, 0),
      (Float(bitPattern: 0x7FFF_FFFF), 0x7FFF), (Float(bitPattern: 0x7F80_0001), 0x7FC0),
    ]
    let x = FloatBuffer(count: cases.count)
    x.fill(cases.map(\.0), at: 0)
    let memory = FloatMatrix(FloatBuffer(count: cases.count), rows: 1, columns: cases.count / 2)
    Kernels.round(
      FloatMatrix(x, rows: 1, columns: cases.count),
      into: HalfMatrix(memory, columns: cases.count))
    let found = memory.elements.flatMap {
      [UInt16(truncatingIfNeeded: $0.bitPattern), UInt16($0.bitPattern >> 16)]
    }
    #expect(found == cases.map(\.1))
  }
}
