import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct AdditiveTests {
  /// A tensor of finite numbers, and one with changes in it of many magnitudes.
  private func pair(
    _ type: FloatType, _ random: inout SplitMix64
  ) -> (base: [UInt64], tuned: [UInt64]) {
    let base = (0..<3000).map { _ in FloatOracle.narrowed(random.gaussian(), type) }
    let tuned = base.map { bits -> UInt64 in
      guard random.unit() < 0.3 else { return bits }
      let delta =
        random.gaussian()
        * Double(
          sign: .plus, exponent: Int.random(in: -20...3, using: &random), significand: 1)
      return FloatOracle.narrowed(FloatOracle.widened(bits, type) + delta, type)
    }
    return (base, tuned)
  }

  /// The change that is stored for two elements, as a number, in plain Swift.
  private func deltas(
    _ base: [UInt64], _ tuned: [UInt64], _ type: FloatType, _ values: FloatType
  ) -> [Double?] {
    let exact = zip(base, tuned).map { x, y -> Double? in
      guard x != y else { return nil }
      let (x, y) = (FloatOracle.widened(x, type), FloatOracle.widened(y, type))
      let delta = y - x
      return delta == 0 ? nil : delta
    }
    let most = exact.compactMap { $0?.magnitude }.max() ?? 1
    let scale = values == .f16 ? Int(most.exponent) - 14 : 0
    let factor = Double(sign: .plus, exponent: scale, significand: 1)
    return exact.map { delta in
      delta.map {
        FloatOracle.widened(FloatOracle.narrowed($0 / factor, values), values) * factor
      }
    }
  }

  private func tensor(_ name: TensorName, _ elements: [UInt64], _ type: FloatType) -> MemoryTensor {
    MemoryTensor(name, type.elementType, FloatOracle.bytes(elements, type))
  }

  @Test("the result is one addition of the rounded change, scale included", arguments: 0..<24)
  func arithmetic(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(300 + seed))
    let type = FloatType.allCases[seed % 4]
    let values = [FloatType.f16, .bf16, .f32][seed / 4 % 3]
    let (before, after) = pair(type, &random)
    let base = MemoryCheckpoint([tensor("w", before, type)])
    let tuned = MemoryCheckpoint([tensor("w", after, type)])
    let made = try diff(base, tuned, .add(.all, values: values))
    let expected = zip(before, deltas(before, after, type, values)).map { old, delta in
      delta.map { FloatOracle.sum(old, $0, type) } ?? old
    }
    let result = try #require(try patched(base, [made]))
    let found = FloatOracle.elements(try #require(result.bytes("w")), type)
    #expect(found == expected, "seed \(seed): \(type) + \(values)")
    #expect(made[0].result == result.all[0].fingerprint)
    #expect(try patched(result, [made]) == nil)
  }

  @Test("two additive diffs on one base are summed in float64 and added once", arguments: 0..<8)
  func sum(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(400 + seed))
    let type = FloatType.allCases[seed % 4]
    let (before, first) = pair(type, &random)
    let second = before.map { bits -> UInt64 in
      guard random.unit() < 0.3 else { return bits }
      return FloatOracle.narrowed(
        FloatOracle.widened(bits, type) + random.gaussian() * 0x1p-6, type)
    }
    let base = MemoryCheckpoint([tensor("w", before, type), tensor("x", before, type)])
    let one = MemoryCheckpoint([tensor("w", first, type), tensor("x", before, type)])
    let other = MemoryCheckpoint([tensor("w", second, type), tensor("x", second, type)])
    let values: (FloatType, FloatType) = seed < 4 ? (.f16, .f16) : (.f16, .bf16)
    let diffs = [
      try diff(base, one, .add(.all, values: values.0)),
      try diff(base, other, .add(.all, values: values.1)),
    ]
    let a = deltas(before, first, type, values.0)
    let b = deltas(before, second, type, values.1)
    let both = before.indices.map { i -> UInt64 in
      guard a[i] != nil || b[i] != nil else { return before[i] }
      return FloatOracle.sum(before[i], (a[i] ?? 0) + (b[i] ?? 0), type)
    }
    let alone = before.indices.map { i in
      b[i].map { FloatOracle.sum(before[i], $0, type) } ?? before[i]
    }
    let result = try #require(try patched(base, diffs))
    #expect(FloatOracle.elements(result.bytes("w") ?? [], type) == both, "seed \(seed)")
    #expect(FloatOracle.elements(result.bytes("x") ?? [], type) == alone, "seed \(seed)")
  }

  @Test("one rounding of the sum is not two of its parts")
  func onceOnly() throws {
    // Each half of the last bit alone is a tie to even; together they are one bit.
    let base = MemoryCheckpoint([vector("w", [1])])
    func add(_ delta: Double) throws -> DiffReader {
      let sink = MemorySink()
      let writer = try DiffWriter(sink)
      try writer.begin(
        DiffEntry(
          "w", .add(values: .f16, scale: -24), .f32, Shape(vector: 1),
          base: base.all[0].fingerprint))
      try writer.append(ChangeRun(at: 0, [0], littleEndian([Float16(delta).bitPattern])))
      try writer.end()
      try writer.finish()
      return try DiffReader(bytes: sink.bytes)
    }
    let one = try add(1)
    #expect(floats(try #require(patched(base, [one])?.bytes("w"))) == [1])
    #expect(floats(try #require(patched(base, [one, one])?.bytes("w"))) == [Float(1).nextUp])
  }

  @Test("an addition made on the result of another follows it, with two roundings")
  func chain() throws {
    let made = try diff(Steps.base, Steps.first, .add(.all, values: .f32))
    let next = try diff(Steps.first, Steps.second, .add(.all, values: .f32))
    let one = try #require(try patched(Steps.base, [made]))
    let two = try #require(try patched(one, [next]))
    #expect(same(try patched(Steps.base, [made, next]), two))
    #expect(same(two, Steps.second))
  }

  @Test("on another base the same changes are added")
  func otherBase() throws {
    let made = try diff(Steps.base, Steps.first, .add(.all, values: .f16))
    let other = MemoryCheckpoint(
      Steps.base.all.map { vector($0.name, floats($0.bytes).map { $0 * 16 }) })
    let result = try #require(try patched(other, [made], .apply, .otherBase))
    #expect(floats(result.bytes("a") ?? []) == [16, 32.5, 48])
    #expect(floats(result.bytes("b") ?? []) == [64.5, 80])
    #expect(floats(result.bytes("c") ?? []) == [96, 112, 128, 144.5])
  }

  @Test("on another base, too, all diffs must be for its type and shape")
  func otherShape() throws {
    // Like the result of merging diffs on several bases: without fingerprints.
    func add(_ type: ElementType, _ count: UInt64) throws -> DiffReader {
      let entry = DiffEntry("a", .add(values: .f16, scale: 0), type, Shape(vector: count))
      let changes = Changes([count - 1], [0, 0x3C])
      return try DiffReader(bytes: Contents([Contents.Tensor(entry, changes)]).encoded())
    }
    let right = try add(.f32, 3)
    #expect(try patched(Steps.base, [right, right], .apply, .otherBase) != nil)
    for wrong in [try add(.f32, 5), try add(.f16, 3)] {
      #expect(refusal(Steps.base, [right, wrong], .apply, .otherBase)?.code == .mismatch)
      #expect(refusal(Steps.base, [wrong, right], .apply, .otherBase)?.code == .mismatch)
    }
  }

  @Test("a sum of additions leaves the sign of a zero as one addition does")
  func negativeZero() throws {
    let base = MemoryCheckpoint([vector("t", [-0.0, 1, 2])])
    func add(_ at: [UInt64], _ deltas: [Float16]) throws -> DiffReader {
      let entry = DiffEntry(
        "t", .add(values: .f16, scale: 0), .f32, Shape(vector: 3), base: base.all[0].fingerprint)
      let bytes = deltas.flatMap { $0.bitPattern.littleEndianBytes }
      return try DiffReader(
        bytes: Contents([Contents.Tensor(entry, Changes(at, bytes))]).encoded())
    }
    let (zero, one) = (try add([0], [-0.0]), try add([2], [1]))
    for diffs in [[zero], [zero, one], [one, zero]] {
      let result = try patched(base, diffs)?.bytes("t") ?? []
      #expect(floats(result).first?.sign == .minus, "\(diffs.count)")
    }
  }

  @Test("a tensor of the head is stored whole in an additive diff")
  func head() throws {
    let tuned = MemoryCheckpoint(Steps.first.all + [MemoryTensor("head", .i64, [UInt8](0..<16))])
    let made = try diff(Steps.base, tuned, .add(.all, values: .f16))
    #expect(same(try patched(Steps.base, [made]), tuned))
  }

  @Test(
    "a change that is not finite is refused, with tensor and position",
    arguments: [
      Float.infinity, .nan, -.infinity,
    ])
  func notFinite(value: Float) throws {
    let tuned = MemoryCheckpoint([
      Steps.base.all[0], Steps.base.all[1], vector("c", [6, 7, value, 9]),
    ])
    let error = #expect(throws: DiffError.self) {
      try diff(Steps.base, tuned, .add(.all, values: .f16))
    }
    #expect(error?.code == .unsupported)
    #expect(error?.tensor == "c")
    #expect(error?.message.contains("position 2 ") == true)
  }

  @Test("changed tensors that are not floats are refused, or left out and named")
  func nonfloat() throws {
    let integers = MemoryTensor("i", .i32, [1, 0, 0, 0])
    let base = MemoryCheckpoint(Steps.base.all + [integers])
    #expect(try diff(base, base, .add(.all, values: .f16)).isEmpty)
    let changed = MemoryTensor("i", .i32, [2, 0, 0, 0])
    let tuned = MemoryCheckpoint(Steps.first.all + [changed])
    var options = CreateOptions()
    options.mode = .add(.all, values: .f16)
    let error = #expect(throws: DiffError.self) { try diffBytes(base, tuned, options) }
    #expect(error?.code == .unsupported)
    #expect(error?.tensor == "i")
    options.skipsNonfloat = true
    let sink = MemorySink()
    let summary = try Diffs.create(from: base, to: tuned, into: sink, options)
    #expect(summary.skipped == ["i"])
    #expect(try DiffReader(bytes: sink.bytes).map(\.name) == ["a", "b", "c"])
  }

  @Test(
    "a change is rounded once, whatever the distance of the exponents",
    arguments: FloatType.allCases)
  func onceFromExact(values: FloatType) throws {
    guard values != .f64 else { return }
    var random = SplitMix64(seed: 460)
    // Integers of up to 70 bits, in units of 2^-40: exact in Int128.
    func number() -> Float {
      let sign: Float = random.next() % 2 == 0 ? 1 : -1
      return sign * Float(random.next() >> 40 | 1 << 23)
        * Float(sign: .plus, exponent: Int.random(in: -40...6, using: &random), significand: 1)
    }
    var pairs = (0..<100_000).map { _ in (number(), number()) }
    // Differences that are a float16 tie except for a bit that float32, or float64, cannot
    // represent.
    for far in 12...39 {
      let tie = Float(1 + 0x1p-11)
      pairs += [(Float(sign: .minus, exponent: -far, significand: 1), tie), (0x1p-40, tie)]
    }
    let base = MemoryCheckpoint([vector("w", pairs.map(\.0))])
    let made = try diff(
      base, MemoryCheckpoint([vector("w", pairs.map(\.1))]), .add(.all, values: values))
    let entry = try #require(made.first)
    guard case .add(_, let scale) = entry.operation else { return }
    let stored = FloatOracle.elements(try changes(made, entry).values, values)
    let bits = [11, 8, 24][Int(values.rawValue)]
    let exact = pairs.filter { $0 != $1 }.map { Int128($0.1 * 0x1p40) - Int128($0.0 * 0x1p40) }
    func rounded(_ difference: Int128) -> Double {
      let magnitude = difference.magnitude
      let length = 128 - magnitude.leadingZeroBitCount
      // Units of the last place, of normal numbers and of the smallest.
      let least = values == .f16 ? scale - 24 + 40 : -200
      let drop = max(length - bits, least, 0)
      var kept = magnitude >> drop
      let rest = magnitude - kept << drop
      let half: UInt128 = drop == 0 ? 1 : 1 << (drop - 1)
      if rest > half || drop > 0 && rest == half && kept % 2 == 1 { kept += 1 }
      let number = Double(kept) * Double(sign: .plus, exponent: drop - 40, significand: 1)
      return difference < 0 ? -number : number
    }
    // What would be stored as zero is left out.
    let numbers = exact.map(rounded).filter { $0 != 0 }
    #expect(numbers.count == stored.count)
    for (expected, found) in zip(numbers, stored) {
      let number =
        FloatOracle.widened(found, values) * Double(sign: .plus, exponent: scale, significand: 1)
      #expect(number == expected)
    }
  }
}
