import TensorCore

/// Finds the k-th largest of more magnitudes than memory holds, exactly: a histogram over the
/// upper bits of their binary64 pattern, whose order is that of the numbers, then the same inside
/// the bin of the k-th, until that bin fits in memory.
struct TopSearch {
  private static let bits: UInt64 = 16
  /// The maximum number of magnitudes to collect and sort.
  private static let capacity: UInt64 = 1 << 21

  private var counts = [UInt64](repeating: 0, count: 1 << Int(bits))

  /// Adds magnitudes to the first histogram.
  mutating func count(_ magnitudes: [Double]) {
    for magnitude in magnitudes { counts[Int(magnitude.bitPattern >> (64 - Self.bits))] += 1 }
  }

  /// Returns the cut that keeps the `wanted` largest. `pass` iterates over all magnitudes again; it
  /// is called up to three times.
  func cut(
    _ wanted: UInt64,
    _ pass: ((_ body: ([Double]) throws(DiffError) -> Void) throws(DiffError) -> Void)
  ) throws(DiffError) -> MagnitudeCut {
    guard wanted > 0 else { return MagnitudeCut(.infinity) }
    var left = wanted
    var histogram = counts
    var prefix: UInt64 = 0
    var shift = 64 - Self.bits
    while true {
      guard let bin = Self.bin(of: &left, histogram) else { return MagnitudeCut() }
      prefix |= UInt64(bin) << shift
      // The whole bin is kept, or, at the last bits, some of its equal magnitudes.
      if left == histogram[bin] { return MagnitudeCut(Double(bitPattern: prefix).nextDown) }
      if shift == 0 { return MagnitudeCut(Double(bitPattern: prefix), ties: left) }
      let inBin = prefix >> shift
      if histogram[bin] <= Self.capacity {
        var numbers: [Double] = []
        try pass { magnitudes throws(DiffError) in
          numbers += magnitudes.filter { $0.bitPattern >> shift == inBin }
        }
        numbers.sort(by: >)
        let cut = numbers[Int(left) - 1]
        let above = numbers.firstIndex(of: cut) ?? 0
        return MagnitudeCut(cut, ties: left - UInt64(above))
      }
      let next = shift - Self.bits
      var counts = [UInt64](repeating: 0, count: 1 << Int(Self.bits))
      try pass { magnitudes throws(DiffError) in
        for magnitude in magnitudes where magnitude.bitPattern >> shift == inBin {
          counts[Int(magnitude.bitPattern >> next & (1 << Self.bits - 1))] += 1
        }
      }
      histogram = counts
      shift = next
    }
  }

  /// Returns the bin of the `left`-th largest magnitude; `left` becomes its rank in the bin.
  private static func bin(of left: inout UInt64, _ histogram: [UInt64]) -> Int? {
    for bin in histogram.indices.reversed() {
      if histogram[bin] >= left { return bin }
      left -= histogram[bin]
    }
    return nil
  }
}
