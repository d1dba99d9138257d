import Kernels
import TensorCore

/// Float arithmetic in plain Swift, one element at a time.
package enum FloatOracle {
  package static func widened(_ bits: UInt64, _ type: FloatType) -> Double {
    switch type {
    case .f16: Double(Float16(bitPattern: UInt16(bits)))
    case .bf16: Double(Float(bitPattern: UInt32(bits) << 16))
    case .f32: Double(Float(bitPattern: UInt32(bits)))
    case .f64: Double(bitPattern: bits)
    }
  }

  /// Returns the nearest number of a type, ties to even.
  package static func narrowed(_ value: Double, _ type: FloatType) -> UInt64 {
    switch type {
    case .f16: UInt64(Float16(value).bitPattern)
    case .bf16: UInt64(bfloat16(value))
    case .f32: UInt64(Float(value).bitPattern)
    case .f64: value.bitPattern
    }
  }

  /// Rounds between the two neighbors, so that there is a single rounding.
  private static func bfloat16(_ value: Double) -> UInt16 {
    guard !value.isNaN else { return 0x7FC0 }
    let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
    let magnitude = value.magnitude
    // The patterns of positive numbers are in the order of the numbers.
    var (low, high): (UInt16, UInt16) = (0, 0x7F80)
    while low + 1 < high {
      let middle = (low + high) / 2
      if number(middle) <= magnitude { low = middle } else { high = middle }
    }
    if magnitude == .infinity { return sign | 0x7F80 }
    // Infinity counts as the number that would come next.
    let next = high == 0x7F80 ? 0x1p128 : number(high)
    let (below, above) = (magnitude - number(low), next - magnitude)
    return sign | (below < above || (below == above && low % 2 == 0) ? low : high)
  }

  private static func number(_ pattern: UInt16) -> Double {
    Double(Float(bitPattern: UInt32(pattern) << 16))
  }

  /// Returns one addition in the tensor's type of calculation, converted; a NaN is always the same.
  package static func sum(_ old: UInt64, _ delta: Double, _ type: FloatType) -> UInt64 {
    let x = widened(old, type)
    let y = type == .f64 ? x + delta : Double(Float(x) + Float(delta))
    return y.isNaN ? quietNaN(type) : narrowed(y, type)
  }

  /// Returns the NaN that additions make: positive, quiet, without payload.
  package static func quietNaN(_ type: FloatType) -> UInt64 {
    switch type {
    case .f16: 0x7E00
    case .bf16: 0x7FC0
    case .f32: 0x7FC0_0000
    case .f64: 0x7FF8_0000_0000_0000
    }
  }

  package static func isNaN(_ bits: UInt64, _ type: FloatType) -> Bool { widened(bits, type).isNaN }

  /// Returns the elements that bytes hold, as bits.
  package static func elements(_ bytes: [UInt8], _ type: FloatType) -> [UInt64] {
    switch type {
    case .f16, .bf16: integers(UInt16.self, bytes).map(UInt64.init)
    case .f32: integers(UInt32.self, bytes).map(UInt64.init)
    case .f64: integers(UInt64.self, bytes)
    }
  }

  package static func bytes(_ elements: [UInt64], _ type: FloatType) -> [UInt8] {
    elements.flatMap { $0.littleEndianBytes.prefix(type.width) }
  }

  /// Returns patterns at which arithmetic is difficult, and random ones.
  package static func patterns(_ type: FloatType, _ count: Int, _ random: inout SplitMix64)
    -> [UInt64]
  {
    let bits = UInt64(type.width * 8)
    let fraction: UInt64 = [10, 7, 23, 52][Int(type.rawValue)]
    let infinity: UInt64 = (((1 << (bits - 1)) - 1) >> fraction) << fraction
    let corners: [UInt64] = [
      0, 1, 2, 3, 1 << fraction, 1 << fraction - 1, 1 << fraction + 1, infinity, infinity - 1,
      infinity + 1, infinity + 1 << (fraction - 1), infinity >> 1, infinity >> 1 + 1,
    ]
    let sign: UInt64 = 1 << (bits - 1)
    let all = corners + corners.map { $0 | sign }
    let mask = bits == 64 ? UInt64.max : 1 << bits - 1
    return all + (0..<max(0, count - all.count)).map { _ in random.next() & mask }
  }
}
