import Kernels
import TensorCore
import Testing
import TestSupport

@Suite struct ScatterAddTests {
  private func add(
    _ elements: [UInt64], _ deltas: [Double], _ type: FloatType, at offsets: [UInt32]? = nil
  ) -> [UInt64] {
    var bytes = FloatOracle.bytes(elements, type)
    let offsets = offsets ?? elements.indices.map { UInt32($0) }
    var span = bytes.mutableSpan
    Kernels.scatterAdd(&span, type, at: offsets.span, deltas.span)
    return FloatOracle.elements(bytes, type)
  }

  @Test("additions are those of Swift, corners included", arguments: FloatType.allCases)
  func arithmetic(type: FloatType) {
    var random = SplitMix64(seed: 13)
    let patterns = FloatOracle.patterns(type, 3000, &random)
    var deltas = FloatOracle.patterns(type, 3000, &random).map { FloatOracle.widened($0, type) }
    deltas.shuffle(using: &random)
    // Half of them as small as the last bit of the element, where rounding decides.
    for i in deltas.indices where i % 2 == 0 {
      let ulp =
        FloatOracle.widened(patterns[i], type).ulp * [0x1p45, 0x1p44, 0x1p29, 0.5][i / 2 % 4]
      deltas[i] = Double.random(in: -3...3, using: &random).rounded() * ulp
    }
    for (i, made) in add(patterns, deltas, type).enumerated() {
      #expect(
        made == FloatOracle.sum(patterns[i], deltas[i], type),
        "\(String(patterns[i], radix: 16)) + \(deltas[i])")
    }
  }

  @Test("the examples of the specification")
  func examples() {
    func value(_ bits: UInt16, _ scale: Int) -> Double {
      Double(Float16(bitPattern: bits)) * Double(sign: .plus, exponent: scale, significand: 1)
    }
    #expect(add([0x3F80], [value(0x1C00, 0)], .bf16) == [0x3F80])
    #expect(add([0x3F81], [value(0x1C00, 0)], .bf16) == [0x3F82])
    #expect(add([0x7BFF], [value(0x4C00, 0)], .f16) == [0x7C00])
    #expect(add([0x0001], [value(0x3C00, -25)], .f16) == [0x0002])
    #expect(add([0x8000_0000], [value(0, 0)], .f32) == [0])
    #expect(add([0x3F80_0000], [value(0x3C01, -10)], .f32) == [0x3F80_2008])
    #expect(add([0x7C00], [value(0xFC00, 0)], .f16) == [0x7E00])
    #expect(add([0xFFC1], [value(0x3C00, 0)], .bf16) == [0x7FC0])
  }

  @Test("not a number, infinity, zero and the smallest numbers", arguments: FloatType.allCases)
  func corners(type: FloatType) {
    func bits(_ value: Double) -> UInt64 { FloatOracle.narrowed(value, type) }
    let quiet = FloatOracle.quietNaN(type)
    let payload = quiet | 1 | 1 << UInt64(type.width * 8 - 1)
    #expect(add([bits(.nan), payload, payload], [1, .nan, -.nan], type) == [quiet, quiet, quiet])
    #expect(add([bits(1), bits(1)], [.nan, .signalingNaN], type) == [quiet, quiet])
    #expect(add([bits(.infinity)], [-.infinity], type) == [quiet])
    #expect(add([bits(-.infinity)], [.infinity], type) == [quiet])
    #expect(add([bits(.infinity)], [-5], type) == [bits(.infinity)])
    #expect(add([bits(-0.0)], [-0.0], type) == [bits(-0.0)])
    #expect(add([bits(-0.0)], [0], type) == [bits(0)])
    let least = FloatOracle.widened(1, type)
    #expect(add([1], [least], type) == [2])
    #expect(add([0], [least], type) == [1])
    #expect(add([2], [-least], type) == [1])
  }

  @Test("only the elements at the offsets change", arguments: FloatType.allCases)
  func places(type: FloatType) {
    var random = SplitMix64(seed: 14)
    let elements = (0..<500).map { FloatOracle.narrowed(Double($0), type) }
    let offsets = (0..<UInt32(500)).filter { _ in random.unit() < 0.2 }
    let made = add(elements, offsets.map { _ in 1 }, type, at: offsets)
    for i in elements.indices {
      let expected =
        offsets.contains(UInt32(i)) ? FloatOracle.sum(elements[i], 1, type) : elements[i]
      #expect(made[i] == expected)
    }
  }
}
