import Kernels
import TensorCore
import Testing
import TestSupport

@Suite struct ConversionTests {
  private func widen(_ bytes: [UInt8], _ type: FloatType, factor: Double = 1) -> [Double] {
    var values = [Double](repeating: 0, count: bytes.count / type.width)
    var span = values.mutableSpan
    Kernels.widen(bytes.span, type, factor: factor, into: &span)
    return values
  }

  private func narrow(_ values: [Double], _ type: FloatType, factor: Double = 1) -> [UInt64] {
    var bytes = [UInt8](repeating: 0, count: values.count * type.width)
    var span = bytes.mutableSpan
    Kernels.narrow(values.span, type, factor: factor, into: &span)
    return FloatOracle.elements(bytes, type)
  }

  @Test(
    "every pattern of 16 bits widens as in Swift and narrows back",
    arguments: [
      FloatType.f16, .bf16,
    ])
  func all(type: FloatType) {
    let patterns = (0...UInt64(UInt16.max)).map { $0 }
    let wide = widen(FloatOracle.bytes(patterns, type), type)
    let back = narrow(wide, type)
    var wrong: [UInt64] = []
    for (pattern, (value, narrowed)) in zip(patterns, zip(wide, back)) {
      let expected = FloatOracle.widened(pattern, type)
      let isRight =
        expected.isNaN
        ? value.isNaN && FloatOracle.isNaN(narrowed, type)
        : value.bitPattern == expected.bitPattern && narrowed == pattern
      if !isRight { wrong.append(pattern) }
    }
    #expect(wrong == [])
  }

  @Test("wide types widen exactly, and all scale by powers of two", arguments: FloatType.allCases)
  func widening(type: FloatType) {
    var random = SplitMix64(seed: 10)
    let patterns = FloatOracle.patterns(type, 3000, &random)
    for exponent in [0, -24, 13, -126, 127] {
      let factor = Double(sign: .plus, exponent: exponent, significand: 1)
      let wide = widen(FloatOracle.bytes(patterns, type), type, factor: factor)
      for (pattern, value) in zip(patterns, wide) {
        let expected = FloatOracle.widened(pattern, type) * factor
        #expect(value.isNaN ? expected.isNaN : value.bitPattern == expected.bitPattern)
      }
    }
  }

  @Test("narrowing rounds once, to nearest even", arguments: FloatType.allCases)
  func narrowing(type: FloatType) {
    var random = SplitMix64(seed: 11)
    let neighbours = FloatOracle.patterns(type, 2000, &random)
      .map { FloatOracle.widened($0, type) }.filter(\.isFinite)
    // The numbers, the midpoints to the next one, and the neighbors of the midpoints, which a
    // conversion by another type would round twice.
    var values: [Double] = neighbours
    for value in neighbours {
      let next = FloatOracle.widened(FloatOracle.narrowed(value, type) &+ 1, type)
      guard next.isFinite, type != .f64 else { continue }
      let halfway = value / 2 + next / 2
      values += [halfway, halfway.nextUp, halfway.nextDown]
    }
    values += [.infinity, -.infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude, -0.0]
    for (value, narrowed) in zip(values, narrow(values, type)) {
      #expect(narrowed == FloatOracle.narrowed(value, type), "\(value)")
    }
    #expect(narrow([.nan], type).allSatisfy { FloatOracle.isNaN($0, type) })
    #expect(narrow([3, -1], type, factor: 0.5) == narrow([1.5, -0.5], type))
  }

  @Test(
    "differences round to float32 as exact ones do; in float64 they are a neighbor",
    arguments:
      FloatType.allCases)
  func subtraction(type: FloatType) {
    var random = SplitMix64(seed: 12)
    let a = FloatOracle.patterns(type, 2000, &random)
    let b = FloatOracle.patterns(type, 2000, &random).shuffled(using: &random)
    var differences = [Double](repeating: 0, count: a.count)
    var span = differences.mutableSpan
    Kernels.subtract(
      FloatOracle.bytes(a, type).span, from: FloatOracle.bytes(b, type).span, type, into: &span)
    for (difference, (x, y)) in zip(differences, zip(a, b)) {
      let (x, y) = (FloatOracle.widened(x, type), FloatOracle.widened(y, type))
      let expected = y - x
      if type == .f64 {
        #expect(
          difference.isNaN
            ? expected.isNaN
            : [expected.nextDown, expected, expected.nextUp].contains(difference))
      } else {
        let (rounded, once) = (Float(difference), Float(y) - Float(x))
        #expect(rounded.isNaN ? once.isNaN : rounded.bitPattern == once.bitPattern)
      }
    }
  }
}
