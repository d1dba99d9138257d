import Kernels
import TensorCore

/// Rice coding of gaps (R. F. Rice 1979; Golomb 1966 with powers of two), with separate parts so
/// that each decodes in a loop without branches: the parameters of all blocks, the low bits of all
/// gaps, and the quotients in unary as one bitmap. The ones of that bitmap are found word by word,
/// and the index of the i-th one, minus i, is the sum of the first quotients.
enum SplitRice {
  /// The minimum parameter, and for each block the difference from it, in `bits` bits.
  struct Parameters: Sendable {
    var least = 0
    var bits = 0
    var blocks: [UInt32] = []

    func k(_ block: Int) -> Int { least + Int(blocks[block]) }
  }

  /// Returns the cheapest parameters for `gaps`, and the size of the code with them in bytes.
  static func plan(_ gaps: Span<UInt32>) -> (parameters: Parameters, size: Int) {
    let (parameters, total) = choose(gaps)
    return (parameters, 2 + packedSize(parameters.blocks.count, bits: parameters.bits) + total)
  }

  /// Appends the code of the values with these gaps.
  static func encode(
    _ gaps: Span<UInt32>, _ parameters: Parameters, into bytes: inout [UInt8]
  ) {
    bytes.append(UInt8(parameters.least))
    bytes.append(UInt8(parameters.bits))
    Kernels.pack(parameters.blocks.span, bits: parameters.bits, appendingTo: &bytes)
    var ones = [UInt32](repeating: 0, count: gaps.count)
    var out = ones.mutableSpan
    var next: UInt64 = 0
    for (block, range) in blocks(of: gaps.count) {
      let k = parameters.k(block)
      let part = gaps.extracting(range)
      Kernels.pack(part, bits: k, appendingTo: &bytes)
      var output = out._mutatingExtracting(range)
      next = Kernels.riceUnary(part, k: k, next: next, into: &output)
    }
    bytes += Kernels.bitmap(ones.span, count: Int(next))
  }

  /// Fills `values` from exactly `range` of `bytes`.
  static func decode(
    _ bytes: [UInt8], _ range: Range<Int>, into values: inout MutableSpan<UInt32>,
    scratch: inout MutableSpan<UInt32>
  ) throws(DiffError) {
    var at = range.lowerBound
    guard range.count >= 2 else { throw .inPage("a Rice code without parameters", at: at) }
    let least = Int(bytes[at])
    let bits = Int(bytes[at + 1])
    guard least < 32, bits <= 5 else { throw .inPage("Rice parameters out of range", at: at) }
    at += 2
    let blockCount = (values.count + blockLength - 1) / blockLength
    let parameterSize = packedSize(blockCount, bits: bits)
    guard range.upperBound - at >= parameterSize else {
      throw .inPage("Rice parameters run past their page", at: at)
    }
    var parameters = Parameters(
      least: least, bits: bits, blocks: [UInt32](repeating: 0, count: blockCount))
    var list = parameters.blocks.mutableSpan
    Kernels.unpack(
      bytes.span.extracting(at..<at + parameterSize), bits: bits, into: &list)
    try bytes.checkPadding(bits: blockCount * bits, from: at, "the list of Rice parameters")
    if let most = parameters.blocks.max(), let fewest = parameters.blocks.min() {
      guard fewest == 0, bits == Self.width(most) else {
        throw .inPage("Rice parameters with more bits than they need", at: range.lowerBound)
      }
    }
    at += parameterSize

    let lowStart = at
    for (block, part) in blocks(of: values.count) {
      let k = parameters.k(block)
      guard k < 32 else { throw .inPage("a Rice parameter above 31", at: range.lowerBound) }
      at += packedSize(part.count, bits: k)
    }
    guard at <= range.upperBound else {
      throw .inPage("the low bits run past their page", at: lowStart)
    }
    let bitmap = bytes.span.extracting(at..<range.upperBound)
    guard Kernels.selectOnes(bitmap, into: &scratch) == values.count,
      bitmap.count == Int(scratch[values.count - 1]) / 8 + 1
    else { throw .inPage("the unary bitmap does not hold one bit per value", at: at) }

    at = lowStart
    var next: UInt64 = 0
    var firstBit: UInt32 = 0
    for (block, part) in blocks(of: values.count) {
      let k = parameters.k(block)
      let size = packedSize(part.count, bits: k)
      try bytes.checkPadding(bits: part.count * k, from: at, "a block of low bits")
      var output = values._mutatingExtracting(part)
      // Includes the bytes after the block, so that its end can be read eight bytes at a time, too.
      Kernels.unpack(bytes.span.extracting(at...), bits: k, into: &output)
      next = Kernels.riceBlock(
        ones: scratch.span.extracting(part), firstBit: firstBit, k: k, next: next, values: &output)
      firstBit = scratch[part.upperBound - 1] + 1
      at += size
    }
    guard next <= 1 << 32 else { throw .inPage("positions past 2^32", at: range.lowerBound) }
  }

  /// Returns the cheapest parameters and the number of bytes of low bits and quotients with them.
  private static func choose(_ gaps: Span<UInt32>) -> (Parameters, Int) {
    var costs: [[UInt64]] = []
    for (_, range) in blocks(of: gaps.count) {
      costs.append(Kernels.riceCosts(gaps.extracting(range)))
    }
    let best = costs.map(argmin)
    guard let low = best.min(), let high = best.max() else { return (Parameters(), 0) }
    var chosen: (total: UInt64, least: Int, bits: Int) = (.max, 0, 0)
    for bits in 0...5 {
      let width = 1 << bits
      for least in max(0, min(low, high - width + 1))...max(low, high - width + 1) {
        let top = min(31, least + width - 1)
        var total = UInt64(costs.count * bits)
        for (cost, best) in zip(costs, best) { total += cost[min(max(best, least), top)] }
        if total < chosen.total { chosen = (total, least, bits) }
      }
      if width > high - low { break }
    }
    let top = min(31, chosen.least + (1 << chosen.bits) - 1)
    let ks = best.map { min(max($0, chosen.least), top) }
    let least = ks.min() ?? 0
    let parameters = Parameters(
      least: least, bits: width(UInt32((ks.max() ?? 0) - least)),
      blocks: ks.map { UInt32($0 - least) })
    // Low bits and quotients are rounded up to bytes separately; whole blocks of low bits are
    // bytes.
    let coded = Int(chosen.total) - costs.count * chosen.bits
    let lowBits = blocks(of: gaps.count).reduce(0) { $0 + $1.range.count * parameters.k($1.block) }
    return (parameters, (lowBits + 7) / 8 + (coded - lowBits + 7) / 8)
  }

  /// Returns the number of bits of a number.
  private static func width(_ number: UInt32) -> Int { 32 - number.leadingZeroBitCount }

  private static func argmin(_ costs: [UInt64]) -> Int {
    var best = 0
    for k in 1..<costs.count where costs[k] < costs[best] { best = k }
    return best
  }
}

/// Returns the blocks of a list: their indices and ranges.
func blocks(of count: Int) -> some Sequence<(block: Int, range: Range<Int>)> {
  stride(from: 0, to: count, by: blockLength).lazy.map {
    ($0 / blockLength, $0..<min($0 + blockLength, count))
  }
}
