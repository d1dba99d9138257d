import Kernels
import TensorCore
import Testing
import TestSupport

@Suite struct BitKernelTests {
  private static let counts = Array(0...20) + [31, 127, 128, 129, 1000]

  /// Bit i of bytes, least significant first.
  private func bit(_ bytes: [UInt8], _ i: Int) -> UInt32 { UInt32(bytes[i / 8] >> (i % 8) & 1) }

  @Test("packing stores value j at bit j·k, for every width, and unpacking reads it")
  func packing() {
    var random = SplitMix64(seed: 1)
    for bits in 0...32 {
      let mask = bits == 32 ? UInt32.max : (1 << bits) - 1
      for count in Self.counts {
        // Bits above the width must not leak into neighbours.
        let values = (0..<count).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
        var packed: [UInt8] = [0xAB]
        Kernels.pack(values.span, bits: bits, appendingTo: &packed)
        #expect(packed.count == 1 + (count * bits + 7) / 8)
        #expect(packed.removeFirst() == 0xAB)
        var expected = [UInt8](repeating: 0, count: packed.count)
        for (j, value) in values.enumerated() {
          for b in 0..<bits where value >> b & 1 == 1 {
            expected[(j * bits + b) / 8] |= 1 << UInt8((j * bits + b) % 8)
          }
        }
        #expect(packed == expected, "\(count) values of \(bits) bits")
        var back = [UInt32](repeating: 99, count: count)
        var span = back.mutableSpan
        Kernels.unpack(packed.span, bits: bits, into: &span)
        #expect(back == values.map { $0 & mask }, "\(count) values of \(bits) bits")
      }
    }
  }

  @Test("unpacking ignores bytes after the values")
  func unpackingFromMore() {
    var random = SplitMix64(seed: 2)
    for bits in 0...32 {
      let bytes = random.bytes(200)
      let count = bits == 0 ? 77 : 1000 / bits
      var values = [UInt32](repeating: 0, count: count)
      var span = values.mutableSpan
      Kernels.unpack(bytes.span, bits: bits, into: &span)
      let expected = (0..<count).map { j in
        (0..<bits).reduce(0) { $0 | bit(bytes, j * bits + $1) << UInt32($1) }
      }
      #expect(values == expected, "\(bits) bits")
    }
  }

  @Test("select finds every one bit, at all sizes and densities, and counts those that do not fit")
  func select() {
    var random = SplitMix64(seed: 3)
    for size in [0, 1, 7, 8, 9, 15, 16, 17, 64, 333] {
      for density in 0...4 {
        var bytes = random.bytes(size)
        for i in bytes.indices {
          switch density {
          case 0: bytes[i] = 0
          case 1: bytes[i] &= random.bytes(1)[0] & random.bytes(1)[0]
          case 3: bytes[i] |= random.bytes(1)[0]
          case 4: bytes[i] = 0xFF
          default: break
          }
        }
        let expected = (0..<size * 8).filter { bit(bytes, $0) == 1 }.map { UInt32($0) }
        for room in Set([expected.count, expected.count + 1, expected.count + 200]) {
          var ones = [UInt32](repeating: 0, count: room)
          var span = ones.mutableSpan
          #expect(Kernels.selectOnes(bytes.span, into: &span) == expected.count)
          #expect(Array(ones.prefix(expected.count)) == expected)
        }
        if expected.count > 1 {
          var ones = [UInt32](repeating: 0, count: expected.count / 2)
          var span = ones.mutableSpan
          #expect(Kernels.selectOnes(bytes.span, into: &span) == expected.count)
        }
        #expect(Kernels.bitmap(expected.span, count: size * 8) == bytes)
      }
    }
  }

  @Test("gaps are the distances between values, and their sums the values", arguments: 0..<40)
  func gaps(seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let count = Self.counts[seed % Self.counts.count]
    let widest = UInt32.max >> UInt32(6 + seed % 20)
    var values: [UInt32] = []
    var next: UInt64 = 0
    while values.count < count {
      next += UInt64.random(in: 0...UInt64(widest), using: &random)
      guard next <= UInt64(UInt32.max) else { break }
      values.append(UInt32(next))
      next += 1
    }
    let gaps = Kernels.gaps(values.span)
    let expected = values.indices.map { $0 == 0 ? values[0] : values[$0] - values[$0 - 1] - 1 }
    #expect(gaps == expected, "seed \(seed)")
    // In two blocks, as in the format.
    let middle = values.count / 2
    let (first, between) = unpacked(Array(gaps[..<middle]), next: 0)
    let (second, end) = unpacked(Array(gaps[middle...]), next: between)
    #expect(first + second == values, "seed \(seed)")
    #expect(end == values.last.map { UInt64($0) + 1 } ?? 0, "seed \(seed)")
  }

  /// Packs gaps in as many bits as they need, and reads them back as values.
  private func unpacked(_ gaps: [UInt32], next: UInt64) -> (values: [UInt32], next: UInt64) {
    var bytes: [UInt8] = []
    let bits = Kernels.width(gaps.span)
    Kernels.pack(gaps.span, bits: bits, appendingTo: &bytes)
    var values = [UInt32](repeating: 0, count: gaps.count)
    var span = values.mutableSpan
    let (after, widest) = Kernels.unpackGaps(bytes.span, bits: bits, next: next, into: &span)
    #expect(widest == bits)
    return (values, after)
  }

  @Test("the sum of gaps is not wrapped, so that overflows are detected")
  func overflow() {
    let end = unpacked([.max, .max, 5], next: 7).next
    #expect(end == 7 + 2 * UInt64(UInt32.max) + 5 + 3)
  }

  @Test("sort agrees with the standard library", arguments: [0, 1, 2, 3, 100, 4097, 70_000])
  func sort(count: Int) {
    var random = SplitMix64(seed: UInt64(count))
    for mask in [UInt32.max, 0x7FF, 0x3F_F800, 0xFFC0_0000, 3] {
      let keys = (0..<count).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) & mask }
      var sorted = keys
      var scratch = [UInt32](repeating: 0, count: count)
      var span = sorted.mutableSpan
      var room = scratch.mutableSpan
      Kernels.sort(&span, scratch: &room)
      #expect(sorted == keys.sorted(), "\(count) keys, mask \(mask)")
    }
  }
}
