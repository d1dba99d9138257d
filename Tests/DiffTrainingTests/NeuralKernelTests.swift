import DiffTraining
import Kernels
import Platform
import TensorCore
import Testing

@Suite struct NeuralKernelTests {
  private func matrix(_ numbers: [Float], columns: Int? = nil) -> FloatMatrix {
    let columns = columns ?? numbers.count
    let matrix = FloatMatrix(
      FloatBuffer(count: numbers.count), rows: numbers.count / columns, columns: columns)
    for (index, number) in numbers.enumerated() {
      matrix[index / columns, index % columns] = number
    }
    return matrix
  }

  /// Every activation and its slope in float64.
  private func exact(_ activation: Activation, _ x: Double) -> (value: Double, slope: Double) {
    switch activation {
    case .gelu:
      let below = 0.5 * erfc(-x * 0.5.squareRoot())
      return (x * below, below + x * exp(-0.5 * x * x) / (2 * Double.pi).squareRoot())
    case .geluTanh:
      let factor = (2 / Double.pi).squareRoot()
      let t = tanh(factor * (x + 0.044715 * x * x * x))
      return (
        0.5 * x * (1 + t),
        0.5 * (1 + t) + 0.5 * x * (1 - t * t) * factor * (1 + 0.134145 * x * x)
      )
    case .tanh: return (tanh(x), 1 - tanh(x) * tanh(x))
    case .relu: return (max(0, x), x > 0 ? 1 : 0)
    }
  }

  @Test(
    "activations and slopes are right to a few units in the last place",
    arguments: Activation.allCases)
  func activations(_ activation: Activation) {
    let numbers = stride(from: Float(-12), through: 12, by: 0.00391).map { $0 }
    let (x, y, slope) = (matrix(numbers), matrix(numbers), matrix(numbers))
    Kernels.activate(x, activation, into: y, slope: slope)
    for (index, number) in numbers.enumerated() {
      let expected = exact(activation, Double(number))
      #expect(abs(Double(y[0, index]) - expected.value) < 4e-7 * max(1, abs(expected.value)))
      // 1 − tanh² times x³ amplifies rounding errors.
      let bound = activation == .geluTanh ? 3e-6 : 1e-6
      #expect(abs(Double(slope[0, index]) - expected.slope) < bound)
    }
    // In place, as linear does, and without the slope.
    Kernels.activate(x, activation, into: x, slope: nil)
    #expect(x.elements == y.elements)
  }

  @Test("NaN stays NaN")
  func notANumber() {
    for activation in [Activation.gelu, .geluTanh, .tanh, .relu] {
      let x = matrix([.nan, 1])
      Kernels.activate(x, activation, into: x, slope: nil)
      #expect(x[0, 0].isNaN && !x[0, 1].isNaN)
    }
    let row = matrix([0, .nan, 1])
    Kernels.softmax(row)
    #expect(row.elements.allSatisfy { $0.isNaN })
  }

  @Test("softmax of rows of any length, large scores too", arguments: [1, 3, 16, 17, 40])
  func softmax(_ columns: Int) {
    var random = SplitMix64(seed: UInt64(columns))
    let numbers = (0..<3 * columns).map { _ in Float(random.gaussian() * 30 + 500) }
    let x = matrix(numbers, columns: columns)
    Kernels.softmax(x)
    for row in 0..<3 {
      let scores = numbers[row * columns..<(row + 1) * columns].map(Double.init)
      let greatest = scores.max() ?? 0
      let sum = scores.reduce(0) { $0 + exp($1 - greatest) }
      for column in 0..<columns {
        #expect(abs(Double(x[row, column]) - exp(scores[column] - greatest) / sum) < 3e-7)
      }
    }
  }

  @Test("dropout keeps the expectation, and depends on the index of an element only")
  func dropout() {
    let count = 100_000
    let x = matrix(Array(repeating: 1, count: count))
    let mask = DropoutMask(key: 12345, rate: 0.1)
    let whole = matrix(Array(repeating: 0, count: count))
    Kernels.dropout(x, mask, first: 0, into: whole)
    let kept = whole.elements.count { $0 != 0 }
    #expect(abs(kept - 90_000) < 500)  // five deviations
    #expect(Set(whole.elements) == [0, 1 / (1 - 0.1)])
    // In parts, on top of something, and in place.
    for part in [0..<17, 17..<40_000, 40_000..<count] {
      let base = matrix(Array(repeating: 2, count: part.count))
      Kernels.dropout(
        x.columns(part), mask, first: part.lowerBound, base: base, into: base)
      #expect(zip(base.elements, whole.columns(part).elements).allSatisfy { $0 == $1 + 2 })
    }
    let other = matrix(Array(repeating: 0, count: count))
    Kernels.dropout(x, DropoutMask(key: 12346, rate: 0.1), first: 0, into: other)
    // Masks of different keys are independent: both keep 0.81.
    let both = zip(whole.elements, other.elements).count { $0 != 0 && $1 != 0 }
    #expect(abs(both - 81_000) < 700)
  }

  @Test("subnormal numbers are zero inside, and numbers again outside")
  func subnormals() {
    let tiny = matrix([Float(bitPattern: 71362)])  // about 1e-40
    Kernels.withoutSubnormals {
      let out = matrix([1])
      Kernels.multiply(out, by: tiny)
      #expect(out[0, 0] == 0)
    }
    let out = matrix([1])
    Kernels.multiply(out, by: tiny)
    #expect(out[0, 0] == Float(bitPattern: 71362))
  }
}
