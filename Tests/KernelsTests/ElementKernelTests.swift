import Kernels
import TensorCore
import Testing
import TestSupport

@Suite struct ElementKernelTests {
  private static let counts = [0, 1, 2, 15, 16, 17, 31, 33, 64, 1000]

  private func elements(_ bytes: [UInt8], _ width: Int) -> [[UInt8]] {
    stride(from: 0, to: bytes.count, by: width).map { Array(bytes[$0..<$0 + width]) }
  }

  @Test("planes hold byte p of every value, and joining is the inverse", arguments: 1...8)
  func planes(width: Int) {
    var random = SplitMix64(seed: 5)
    for count in Self.counts {
      let values = random.bytes(count * width)
      var planes = [UInt8](repeating: 0, count: values.count)
      var span = planes.mutableSpan
      Kernels.splitPlanes(values.span, width: width, into: &span)
      let expected = (0..<width).flatMap { p in (0..<count).map { values[$0 * width + p] } }
      #expect(planes == expected)
      var back = [UInt8](repeating: 0, count: values.count)
      var out = back.mutableSpan
      Kernels.joinPlanes(planes.span, width: width, into: &out)
      #expect(back == values)
    }
  }

  @Test("differences are the elements with another byte anywhere", arguments: 1...8)
  func differences(width: Int) {
    var random = SplitMix64(seed: 6)
    for count in Self.counts {
      for density in [0, 0.01, 0.3, 1] {
        let a = random.bytes(count * width)
        var b = a
        for element in 0..<count where random.unit() < density {
          b[element * width + Int.random(in: 0..<width, using: &random)] ^= 1 << 7
        }
        let found = Kernels.differences(a.span, b.span, width: width)
        let (x, y) = (elements(a, width), elements(b, width))
        let expected = (0..<count).filter { x[$0] != y[$0] }.map { UInt32($0) }
        #expect(found == expected, "\(count) elements, density \(density)")
      }
    }
  }

  @Test("gather copies, scatter stores and XORs whole elements, and no others", arguments: 1...8)
  func scatter(width: Int) {
    var random = SplitMix64(seed: 7)
    for count in Self.counts {
      let offsets = (0..<UInt32(count)).filter { _ in random.unit() < 0.4 }
      let block = random.bytes(count * width)
      let values = random.bytes(offsets.count * width)
      let old = elements(block, width)
      let new = elements(values, width)
      // Offsets relative to the block, to a position inside of it, or before it.
      let shift = [0, offsets.first ?? 0, UInt32.max - 499][count % 3]
      let shifted = offsets.map { $0 &- shift }
      #expect(
        Kernels.gathered(block.span, width: width, at: shifted.span, shift: shift)
          == offsets.flatMap { old[Int($0)] })
      for mode in [Kernels.Scatter.replace, .xor] {
        var expected = old
        for (offset, value) in zip(offsets, new) {
          expected[Int(offset)] =
            mode == .replace ? value : zip(old[Int(offset)], value).map { $0 ^ $1 }
        }
        var changed = block
        var span = changed.mutableSpan
        Kernels.scatter(mode, &span, width: width, at: shifted.span, shift: shift, values.span)
        #expect(changed == expected.flatMap { $0 })
      }
    }
  }

  @Test("exchange stores where what is expected is, in whole batches, and no further")
  func exchange() {
    var random = SplitMix64(seed: 10)
    for width in 1...8 {
      for count in [0, 1, 127, 128, 129, 1000] {
        let offsets = (0..<UInt32(count)).map { 3 * $0 + 1 }
        let block = random.bytes((3 * count + 2) * width)
        let old = Kernels.gathered(block.span, width: width, at: offsets.span)
        let values = random.bytes(count * width)
        var expected = elements(block, width)
        for (offset, value) in zip(offsets, elements(values, width)) {
          expected[Int(offset)] = value
        }
        var changed = block
        var span = changed.mutableSpan
        let all = Kernels.exchange(
          &span, width: width, at: offsets.span, old.span, for: values.span)
        #expect(all == count && changed == expected.flatMap { $0 })
        // The last byte of one element is another one.
        guard count > 0 else { continue }
        let wrong = Int(random.next() % UInt64(count))
        var other = old
        other[wrong * width + width - 1] ^= 1
        var partly = block
        var part = partly.mutableSpan
        let stored = Kernels.exchange(
          &part, width: width, at: offsets.span, other.span, for: values.span)
        #expect(stored <= wrong && wrong - stored < 128)
        var some = elements(block, width)
        for (offset, value) in zip(offsets.prefix(stored), elements(values, width)) {
          some[Int(offset)] = value
        }
        #expect(partly == some.flatMap { $0 })
      }
    }
  }

  @Test("exclusive-or and swapping of bytes")
  func bytes() {
    var random = SplitMix64(seed: 8)
    for count in Self.counts {
      let (a, b) = (random.bytes(count), random.bytes(count))
      var xor = a
      var span = xor.mutableSpan
      Kernels.xor(&span, with: b.span)
      #expect(xor == zip(a, b).map { $0 ^ $1 })
      for width in 1...8 {
        let values = random.bytes(count * width)
        var swapped = values
        var out = swapped.mutableSpan
        Kernels.swapBytes(&out, width: width)
        #expect(swapped == elements(values, width).flatMap { $0.reversed() })
      }
    }
  }

  @Test("the histogram counts every byte")
  func histogram() {
    var random = SplitMix64(seed: 9)
    for count in Self.counts {
      let bytes = random.bytes(count).map { $0 & 0x13 }
      let expected = (0..<256).map { value in UInt32(bytes.count { Int($0) == value }) }
      #expect(Kernels.histogram(bytes.span) == expected)
    }
  }
}
