import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// Each position coding with each possible traversal, as the writer chooses them; and each
  /// plane coding.
  static func positions() throws -> [ValidVector] {
    var random = SplitMix64(seed: 7)
    func some(_ count: UInt64, _ rate: Double) -> [UInt64] {
      (0..<count).filter { _ in random.unit() < rate }
    }
    /// Ones, which take two bytes a page.
    func vector(
      _ name: String, _ shape: Shape, _ positions: [UInt64], _ profile: EncodingProfile = .size
    ) throws -> ValidVector {
      let ones = [UInt8](repeating: 1, count: positions.count)
      return try ValidVector(
        name, DiffEntry("w", .xor, .u8, shape), Changes(positions, ones), profile)
    }
    /// Uniform gaps below 8: three bits each, where a Rice code takes three and a half.
    func even(_ count: Int) -> [UInt64] {
      var next: UInt64 = 0
      return (0..<count).map { _ in
        defer { next += 1 + random.next() % 8 }
        return next
      }
    }
    let uniform = some(100_000, 0.005)
    let hotColumn = (0..<5000).filter { _ in random.unit() < 0.2 }.map { UInt64($0 * 40) }
    let hotLines = some(200_000, 1).filter { index in
      let hot = (index / 400 % 11 == 3 ? 1 : 0) + (index % 400 % 13 == 5 ? 1 : 0)
      return random.unit() < [0.0005, 0.02, 0.4][hot]
    }
    let evenRows = even(600).map { $0 * 40 }
    let compressible = (0..<3000).map { _ in
      UInt8(min(7, max(0, 3 + random.gaussian())))
    }
    return try [
      vector("dense", shape(10, 10), Array(0..<100)),
      vector("rice-rows", shape(100, 1000), uniform),
      vector("bp128-rows", shape(100, 1000), uniform, .speed),
      vector("bp128-rows-smaller", shape(100, 100), even(600)),
      vector("bitmap", shape(50, 100), some(5000, 0.4)),
      vector("bitmap-fast", shape(50, 100), some(5000, 0.4), .speed),
      vector("rice-columns", shape(5000, 40), hotColumn),
      vector("bp128-columns", shape(5000, 40), evenRows),
      vector("rice-panels", shape(500, 400), hotLines),
      vector("bp128-panels", shape(5000, 40), evenRows.map { $0 + 31 }),
      ValidVector(
        "planes-deflated", DiffEntry("w", .replace, .f16, shape(40, 100)),
        Changes(some(4000, 0.4).prefix(1500).map { $0 }, compressible)),
      ValidVector(
        "planes-raw", DiffEntry("w", .insert, .bits24, shape(100)),
        Changes(whole: random.bytes(300), width: 3)),
      ValidVector(
        "planes-constant", DiffEntry("w", .insert, .f64, shape(100)),
        Changes(whole: (0..<800).map { UInt8($0 % 8) }, width: 8)),
    ]
  }

  /// Ends of pages, and numbers beyond 32 bits.
  static func sizes() throws -> [ValidVector] {
    func vector(
      _ name: String, _ shape: Shape, _ positions: [UInt64], _ operation: DiffOperation = .xor
    ) throws -> ValidVector {
      try ValidVector(
        name, DiffEntry("w", operation, .u16, shape),
        Changes(positions, positions.flatMap { _ in [1, 2] }))
    }
    let every: [UInt64] = (0..<32_769).map { $0 * 3 }
    let two32: UInt64 = 1 << 32
    return try [
      vector("page-less-one", shape(400, 400), Array(every.dropLast(2))),
      vector("page-exact", shape(400, 400), Array(every.dropLast())),
      vector("page-and-one", shape(400, 400), every),
      vector("dense-page-exact", shape(32_768), Array(0..<32_768), .insert),
      vector("dense-page-and-one", shape(32_769), Array(0..<32_769), .insert),
      vector("dense-three-pages", shape(7, 10_000), Array(0..<70_000), .delete),
      vector("two-pages-one-dense", shape(400, 400), Array(7..<32_775) + [100_000, 159_999]),
      vector("last-of-2-33", shape(2 * two32), [2 * two32 - 1]),
      vector("span-2-32", shape(2 * two32), [5, two32 + 4]),
      vector("span-2-32-and-one", shape(2 * two32), [5, two32 + 5]),
      vector("gap-beyond-2-32", shape(1 << 40), [0, 9, two32 + 10, 1 << 39, (1 << 40) - 1]),
      vector("gap-31-bits", shape(3, two32), [1, 3, two32 - 7, two32 + 1, 3 * two32 - 1]),
    ]
  }
}
