import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Properties of all merge methods on random diffs, with printed seeds.
@Suite struct MergeTests {
  static let shapes: [(TensorName, [UInt64])] = [
    ("a", [70, 90]), ("b", [4000]), ("c", [2, 3, 5]), ("d", [1]), ("e", [300, 300]),
  ]

  /// Values on a grid, so that small sums of them are exact in float16.
  static func random(
    _ random: inout SplitMix64, density: Double, grid: Int = 8, name: String = ""
  ) throws -> DiffReader {
    let tensors = shapes.map { name, shape in
      let count = Int(shape.reduce(1, *))
      let deltas = (0..<count).map { _ in
        random.unit() < density
          ? Double(Int.random(in: -grid...grid, using: &random)) / 1024 : 0
      }
      return (name: name, shape: shape, deltas: deltas)
    }
    return try additiveDiff(tensors, scale: -10, metadata: ["task": name])
  }

  private static func dense(_ diff: DiffReader) throws -> [[Double]] {
    try shapes.map { try diff.dense($0.0, count: Int($0.1.reduce(1, *))) }
  }

  /// Every method with valid parameters.
  static let everyMethod: [MergeOptions] = MergeMethod.allCases.flatMap { method in
    SignVariant.allCases.map { variant in
      var options = MergeOptions()
      options.method = method
      options.variant = variant
      options.seed = 5
      switch method {
      case .sum, .average, .ram, .ramPlus, .modelStock: break
      case .ties, .sce: options.density = 0.03
      case .dareLinear, .dareTies: options.density = 0.6
      case .della, .dellaLinear: options.density = 0.5
      case .breadcrumbs, .breadcrumbsTies: options.density = 0.03
      }
      return options
    }
  }

  @Test("the sum of one diff is the diff", arguments: 1...3)
  func one(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let diff = try Self.random(&random, density: 0.1)
    let one = try merged([diff])
    #expect(try Self.dense(one) == Self.dense(diff), "seed \(seed)")
    // And once more the same bytes, metadata apart.
    let again = try merged([one])
    #expect(again.map(\.operation) == one.map(\.operation))
    #expect(again.map { $0.base } == diff.map { $0.base })
    #expect(again.allSatisfy { $0.result == nil })
  }

  @Test("the order of the diffs does not matter", arguments: everyMethod.indices)
  func order(_ number: Int) throws {
    var random = SplitMix64(seed: 40)
    let diffs = try (0..<4).map { _ in try Self.random(&random, density: 0.08) }
    let options = Self.everyMethod[number]
    let one = MemorySink()
    let other = MemorySink()
    _ = try Diffs.merge(diffs.map { MergeInput($0) }, into: one, options)
    _ = try Diffs.merge([2, 0, 3, 1].map { MergeInput(diffs[$0]) }, into: other, options)
    #expect(one.bytes == other.bytes, "\(options.method) \(options.variant)")
    #expect(one.bytes.count > 500)
  }

  @Test("sums are those of dense tensors", arguments: 1...3)
  func sums(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 100)
    let diffs = try (0..<9).map { _ in try Self.random(&random, density: 0.2) }
    let weights = diffs.map { _ in Double(Int.random(in: -2...2, using: &random)) }
    let made = try Self.dense(try merged(diffs, weights: weights))
    let dense = try diffs.map(Self.dense)
    for tensor in Self.shapes.indices {
      for at in made[tensor].indices {
        let sum = zip(dense, weights).reduce(0) { $0 + $1.0[tensor][at] * $1.1 }
        #expect(made[tensor][at] == sum, "seed \(seed)")
      }
    }
  }

  @Test("the sum is applied as both are", arguments: 1...3)
  func applied(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 200)
    let base = MemoryCheckpoint(
      Self.shapes.compactMap { name, extents in
        Shape(extents).map {
          MemoryTensor(name, .f32, $0, [UInt8](repeating: 0, count: Int($0.count) * 4))
        }
      })
    let a = try Self.random(&random, density: 0.1)
    let b = try Self.random(&random, density: 0.1)
    let both = try #require(try patched(base, [a, b]))
    #expect(same(try patched(base, [try merged([a, b])]), both), "seed \(seed)")
  }

  @Test("disjoint diffs are merged by ties and ram as by sum")
  func disjoint() throws {
    var random = SplitMix64(seed: 7)
    let all = try Self.dense(try Self.random(&random, density: 0.3))
    let parts = try (0..<3).map { part in
      try additiveDiff(
        zip(Self.shapes, all).map { shape, values in
          (
            name: shape.0, shape: shape.1,
            deltas: values.enumerated().map { $0.offset % 3 == part ? $0.element : 0 }
          )
        }, scale: -10)
    }
    for method in [MergeMethod.sum, .ties, .ram] {
      for variant in SignVariant.allCases {
        var options = MergeOptions()
        options.method = method
        options.variant = variant
        #expect(try Self.dense(try merged(parts, options)) == all, "\(method) \(variant)")
      }
    }
  }

  @Test("conflicts are counted")
  func conflicts() throws {
    let a = try additiveDiff([("t", [8], [1, 1, 0, -1, 0, 2, 0, 0])])
    let b = try additiveDiff([("t", [8], [1, -1, 0, 0, 3, -2, 0, 1])])
    let summary = try Diffs.merge([MergeInput(a), MergeInput(b)], into: MemorySink())
    #expect(summary.tensors.map(\.name) == ["t"])
    #expect(summary.tensors[0].shared == 3)
    #expect(summary.tensors[0].opposite == 2)
    // 1 + 1, -1, 3 and 1; changes that cancel are left out.
    #expect(summary.tensors[0].changes == 4)
    #expect(summary.total.read == 9)
  }

  @Test("DARE and DELLA keep the expectation")
  func expectation() throws {
    let count = 4000
    let diff = try additiveDiff([("t", [40, 100], [Double](repeating: 1, count: count))])
    var options = MergeOptions()
    options.values = .f32
    for (method, rescale) in [
      (MergeMethod.dareLinear, Rescale.inverseDensity), (.dareLinear, .l1),
      (.dellaLinear, .inverseDensity),
    ] {
      options.method = method
      options.rescale = rescale
      options.density = 0.4
      var sums: [Double] = []
      for seed in 1...50 {
        options.seed = UInt64(seed)
        sums.append(try merged([diff], options).dense("t", count: count).reduce(0, +))
      }
      let mean = sums.reduce(0, +) / 50 / Double(count)
      // Four deviations of the mean of 200 000 choices.
      #expect(abs(mean - 1) < 4 * (0.6 / 0.4 / 200_000).squareRoot(), "\(method) \(rescale)")
      if rescale == .l1 { #expect(sums.allSatisfy { abs($0 / Double(count) - 1) < 1e-6 }) }
    }
  }

  @Test("random choices depend only on seed, tensor, position and diff")
  func chance() throws {
    let ones = [Double](repeating: 1, count: 3000)
    var options = MergeOptions()
    options.method = .dareLinear
    options.density = 0.5
    let a = try additiveDiff([("s", [3000], ones), ("t", [3000], ones)])
    let other = try additiveDiff([("t", [3000], ones)], metadata: ["k": "v"])
    let alone = try merged([a], options)
    let (s, t) = (try alone.dense("s", count: 3000), try alone.dense("t", count: 3000))
    #expect(s != t)
    // Merging another diff too does not affect the kept changes of the first.
    let both = try merged([a, other], weights: [1, 0], options)
    #expect(try both.dense("t", count: 3000) == t)
    #expect(try merged([other], options).dense("t", count: 3000) != t)
    options.seed = 1
    #expect(try merged([a], options).dense("t", count: 3000) != t)
  }

  /// The probability of DELLA grows with the rank in the row, from d − ε to d + ε.
  @Test("DELLA keeps the large ones of a row more often")
  func della() throws {
    let row = [8.0, 1, 4, 2]
    let diff = try additiveDiff([("t", [2, 4], row + row)])
    var options = MergeOptions()
    options.method = .dellaLinear
    options.rescale = Rescale.none
    (options.density, options.epsilon) = (0.5, 0.3)
    var kept = [Int](repeating: 0, count: 4)
    let runs = 3000
    for seed in 1...runs {
      options.seed = UInt64(seed)
      let made = try merged([diff], options).dense("t", count: 8)
      for at in made.indices where made[at] != 0 {
        #expect(made[at] == row[at % 4])
        kept[at % 4] += 1
      }
    }
    for (count, probability) in zip(kept, [0.8, 0.2, 0.6, 0.4]) {
      let share = Double(count) / Double(2 * runs)
      #expect(abs(share - probability) < 0.03)
    }
  }

  @Test("densities of elements and of nonzeros differ")
  func densities() throws {
    var deltas = [Double](repeating: 0, count: 1000)
    for at in 0..<100 { deltas[at * 10] = Double(at + 1) }
    let diff = try additiveDiff([("t", [1000], deltas)])
    func count(_ method: MergeMethod, _ density: Double, _ base: DensityBase) throws -> Int {
      var options = MergeOptions()
      (options.method, options.density, options.densityOf) = (method, density, base)
      options.variant = .peft
      return try merged([diff], options).dense("t", count: 1000).count { $0 != 0 }
    }
    #expect(try count(.ties, 0.05, .elements) == 50)
    #expect(try count(.ties, 0.05, .nonzeros) == 5)
    #expect(try count(.ties, 0.2, .elements) == 100)
    #expect(try count(.dareLinear, 0.1, .elements) == 100)
    #expect(try count(.dareLinear, 0.1, .nonzeros) < 30)
    // With γ n below 1, none of the largest is dropped.
    var options = MergeOptions()
    (options.method, options.density, options.gamma) = (.breadcrumbs, 0.01, 0.0005)
    let made = try merged([diff], options).dense("t", count: 1000)
    #expect(made.filter { $0 != 0 } == Array(deltas.filter { $0 != 0 }.suffix(10)))
  }

  @Test("pruning the result is exact", arguments: [0.01, 0.1, 0.5, 1])
  func pruning(_ density: Double) throws {
    var random = SplitMix64(seed: 12)
    let diffs = try (0..<3).map { _ in try Self.random(&random, density: 0.2) }
    var options = MergeOptions()
    options.pruneTo = density
    let all = try Self.dense(try merged(diffs)).joined()
    let made = Array(try Self.dense(try merged(diffs, options)).joined())
    // Ties are broken by tensor name, then position, as by a stable sort.
    let order = all.enumerated().filter { $0.element != 0 }
      .sorted { (-$0.element.magnitude, $0.offset) < (-$1.element.magnitude, $1.offset) }
    let wanted = Int((density * Double(made.count)).rounded(.down))
    var expected = [Double](repeating: 0, count: made.count)
    for (offset, value) in order.prefix(wanted) { expected[offset] = value }
    #expect(made == expected)
  }

  /// Tensors with more changes than are decoded at once.
  @Test("large tensors are merged in windows")
  func windows() throws {
    let count = 1 << 21
    func delta(_ at: Int, _ number: Int) -> Double { Double((at * 7 + number * 3) % 5 - 2) }
    var diffs: [DiffReader] = []
    for number in 0..<3 {
      let deltas = (0..<count).map { delta($0, number) }
      diffs.append(try additiveDiff([(name: "t", shape: [UInt64(count)], deltas: deltas)]))
    }
    let made = try merged(diffs).dense("t", count: count)
    let differing = (0..<count).first { at in
      made[at] != delta(at, 0) + delta(at, 1) + delta(at, 2)
    }
    #expect(differing == nil)
    var options = MergeOptions()
    options.pruneTo = 0.25
    #expect(try merged(diffs, options).dense("t", count: count).count { $0 != 0 } == count / 4)
  }

  /// '/' and '.' are one separator, and the result is still in order.
  @Test("two spellings of a name are one tensor")
  func names() throws {
    let a = try additiveDiff([("m.z", [2], [1, 0]), ("n", [2], [1, 1])])
    let b = try additiveDiff([("m/a", [2], [0, 1]), ("m/z", [2], [1, 2]), ("n", [2], [0, 1])])
    for diffs in [[a, b], [b, a]] {
      let made = try merged(diffs)
      let names = made.map(\.name)
      #expect(names.count == 3)
      let z = try #require(names.first { $0.parts.last == "z" })
      #expect(try made.dense(z, count: 2) == [2, 2])
      #expect(try made.dense("n", count: 2) == [1, 2])
    }
  }

  /// Tensors that no memory holds, with changes at both ends.
  @Test("huge tensors are merged where they change")
  func huge() throws {
    let shape = Shape(vector: 1 << 59)
    let positions: [UInt64] = [0, 5, 1 << 33, (1 << 33) + 7, 1 << 58, (1 << 59) - 1]
    let diffs = try (0..<3).map { number in
      let own = Changes(
        Array(positions.dropFirst(number)), positions.dropFirst(number).flatMap { _ in [0, 0x3C] })
      let entry = DiffEntry("t", .add(values: .f16, scale: 0), .f32, shape)
      return try DiffReader(bytes: Contents([Contents.Tensor(entry, own)]).encoded())
    }
    let made = try merged(diffs)
    let entry = try #require(made.first)
    let changes = try made.contents(of: entry).streams[.changes]
    #expect(changes?.positions == positions)
    // 1, 2, 3, 3, 3, 3, with the scale of the largest.
    #expect(entry.operation == .add(values: .f16, scale: -13))
  }
}
