import Kernels
import TensorCore
import Testing

@Suite struct RiceKernelTests {
  @Test("a Rice code has the size of its definition, for every parameter")
  func costs() {
    var random = SplitMix64(seed: 4)
    for count in [0, 1, 2, 127, 128, 1000] {
      let gaps = (0..<count).map { _ in
        UInt32.random(in: 0...UInt32.max, using: &random)
          >> UInt32.random(in: 0...31, using: &random)
      }
      let expected = (0..<32).map { k in
        gaps.reduce(UInt64(0)) { $0 + UInt64($1 >> UInt32(k)) + 1 + UInt64(k) }
      }
      #expect(Kernels.riceCosts(gaps.span) == expected)
    }
  }

  @Test("blocks of Rice codes decode to the encoded values", arguments: 0..<64)
  func blocks(seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let k = seed % 32
    let count = [1, 2, 7, 8, 9, 100, 127, 128][seed / 8]
    // Gaps with quotients up to 20, within 32 bits; three consecutive blocks.
    var next: UInt64 = 0
    var nextBit: UInt64 = 0
    for block in 0..<3 {
      var gaps: [UInt32] = []
      var values: [UInt32] = []
      var value = next
      while gaps.count < count {
        let most = min(UInt64(20) << UInt64(k), UInt64(UInt32.max) / UInt64(3 * count) - 1)
        let gap = UInt64.random(in: 0...most, using: &random)
        gaps.append(UInt32(gap))
        values.append(UInt32(value + gap))
        value += gap + 1
      }
      var ones = [UInt32](repeating: 0, count: count)
      var span = ones.mutableSpan
      let firstBit = UInt32(nextBit)
      nextBit = Kernels.riceUnary(gaps.span, k: k, next: nextBit, into: &span)
      var expectedOnes: [UInt32] = []
      var at = firstBit
      for gap in gaps {
        at += gap >> UInt32(k)
        expectedOnes.append(at)
        at += 1
      }
      #expect(ones == expectedOnes, "seed \(seed) block \(block)")
      #expect(nextBit == UInt64(at), "seed \(seed) block \(block)")
      var decoded = gaps.map { $0 & ((1 << UInt32(k)) - 1) }
      var out = decoded.mutableSpan
      next = Kernels.riceBlock(
        ones: ones.span, firstBit: firstBit, k: k, next: next, values: &out)
      #expect(decoded == values, "seed \(seed) block \(block)")
      #expect(next == value, "seed \(seed) block \(block)")
    }
  }

  @Test("the end of a block is not wrapped, so that values past 32 bits are detected")
  func overflow() {
    let ones: [UInt32] = [3, 4]
    var low: [UInt32] = [0x7FFF_FFFF, 1]
    var span = low.mutableSpan
    let next = Kernels.riceBlock(ones: ones.span, firstBit: 0, k: 31, next: 10, values: &span)
    #expect(next == 10 + 3 << 31 + 0x7FFF_FFFF + 1 + 1 + 1)
  }
}
