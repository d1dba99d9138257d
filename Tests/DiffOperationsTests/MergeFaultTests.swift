import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// Degenerate merges: weights that cancel, changes that cancel, equal random choices.
@Suite struct MergeFaultTests {
  private func merge(
    _ diffs: [DiffReader], _ weights: [Double]? = nil,
    _ change: (inout MergeOptions) -> Void = { _ in }
  ) throws -> (diff: DiffReader, summary: MergeSummary) {
    var options = MergeOptions()
    change(&options)
    let sink = MemorySink()
    let summary = try Diffs.merge(
      diffs.enumerated().map { MergeInput($1, weight: weights?[$0] ?? 1) }, into: sink, options)
    return (try DiffReader(bytes: sink.bytes), summary)
  }

  private func diff(_ deltas: [Double], _ values: FloatType = .f16) throws -> DiffReader {
    try additiveDiff([("t", [UInt64(deltas.count)], deltas)], values: values)
  }

  /// 0.1 + 0.2 − 0.3 is 5.6e-17 in float64.
  private let cancelling = [0.1, 0.2, -0.3]

  @Test("a division by weights that cancel is refused")
  func weightsThatCancel() throws {
    let diffs = try (0..<3).map { _ in try diff([1, 2, 0, 4]) }
    for method in [MergeMethod.average, .sum] {
      let error = #expect(throws: DiffError.self) {
        try merge(diffs, cancelling) {
          $0.method = method
          $0.normalizes = true
        }
      }
      #expect(error?.code == .usage)
      #expect(error?.message.contains("negligible beside them") == true)
    }
    // By tensor, too, with its name.
    var inputs = diffs.map { MergeInput($0) }
    for (index, weight) in cancelling.enumerated() { inputs[index].weight["t"] = weight }
    var options = MergeOptions()
    options.method = .average
    let error = #expect(throws: DiffError.self) {
      try Diffs.merge(inputs, into: MemorySink(), options)
    }
    #expect(error?.tensor == "t")
  }

  @Test("sums whose elected weights cancel are not divided, and are counted")
  func undividedTies() throws {
    // At position 0 all of w δ are positive: 0.1, 0.2 and 0.3; their weights cancel.
    let diffs = [try diff([1, 1, 0, 0]), try diff([1, 0, 3, 0]), try diff([-1, 0, 0, 1])]
    let (made, summary) = try merge(diffs, cancelling) {
      ($0.method, $0.variant, $0.values) = (.ties, .mergekit, .f32)
    }
    let dense = try made.dense("t", count: 4)
    for (number, expected) in zip(dense, [0.6, 1, 3, 1]) {
      #expect(abs(number - expected) < 1e-6)
    }
    #expect(summary.total.undivided == 1)
  }

  @Test(
    "what rounding leaves of changes that cancel is nothing", arguments: [FloatType.f32, .bf16])
  func noise(_ values: FloatType) throws {
    let diffs = try (0..<3).map { _ in try diff([1, 3, 0, -7], .f32) }
    let (made, summary) = try merge(diffs, cancelling) { $0.values = values }
    #expect(made.isEmpty)
    #expect(summary.total.cancelled == 3)
    // A change that is small by itself is kept.
    let small = try diff([1, 0x1p-90, -0x1p-100, 0], .f32)
    let (kept, lost) = try merge([small, try diff([1, 0, 0, 1], .f32)]) { $0.values = values }
    #expect(try kept.dense("t", count: 4) == [2, 0x1p-90, -0x1p-100, 1])
    #expect(lost.total.cancelled == 0)
  }

  @Test("model stock of diffs that share no position, or are orthogonal, is empty")
  func stock() throws {
    for values in [[[1.0, 1, 0, 0], [0, 0, 1, 3]], [[1.0, 1.5, 0, 1], [1.5, -1, 2, 0]]] {
      let (made, summary) = try merge(try values.map { try diff($0) }) {
        ($0.method, $0.values) = (.modelStock, .f32)
      }
      #expect(made.isEmpty)
      #expect(summary.total.changes == 0)
    }
    // Also in many dimensions, where cosines have some noise.
    var random = SplitMix64(seed: 3)
    let many = try (0..<3).map { part in
      try diff((0..<3000).map { $0 % 3 == part ? random.gaussian().rounded() + 0.5 : 0 })
    }
    #expect(try merge(many) { ($0.method, $0.values) = (.modelStock, .f32) }.diff.isEmpty)
  }

  @Test("changes that the type of the values rounds to zero are left out and counted")
  func rounded() throws {
    let one = try diff([1, 0x1p-45, 0, -0x1p-60], .f32)
    let (made, summary) = try merge([one])
    #expect(made.first?.count == 1)
    #expect(summary.total.rounded == 2)
    #expect(summary.total.changes == 1)
    #expect(throws: DiffError.self) { try merge([one]) { $0.refusesLosses = true } }
    #expect(
      try merge([one]) { ($0.refusesLosses, $0.values) = (true, .f32) }.summary.total.changes == 3)
  }

  @Test("changes that cancel are refused where losses are")
  func refusedLosses() throws {
    let (a, b) = (try diff([1, 2]), try diff([-1, 2]))
    let error = #expect(throws: DiffError.self) { try merge([a, b]) { $0.refusesLosses = true } }
    #expect(error?.remedy == .allowLosses)
    #expect(error?.message.contains("1 cancel") == true)
  }

  @Test("random choices depend on contents, not metadata or encodings", arguments: [true, false])
  func contents(_ isRanked: Bool) throws {
    var random = SplitMix64(seed: 11)
    let deltas = (0..<2000).map { _ in random.unit() < 0.3 ? Double(random.next(below: 9)) : 0 }
    func made(_ metadata: [String: String], _ values: FloatType) throws -> DiffReader {
      try additiveDiff([("t", [40, 50], deltas)], values: values, metadata: metadata)
    }
    let other = try additiveDiff([("t", [40, 50], deltas.reversed())])
    func draw(_ diff: DiffReader) throws -> [Double] {
      try merge([diff, other]) {
        ($0.method, $0.density, $0.seed) = (isRanked ? .dellaLinear : .dareLinear, 0.5, 5)
        $0.values = .f32
      }.diff.dense("t", count: 2000)
    }
    let first = try draw(try made([:], .f16))
    #expect(try draw(try made(["task": "another"], .f16)) == first)
    #expect(try draw(try made(["task": "another"], .f32)) == first)
    #expect(first.contains { $0 != 0 })
  }

  @Test("a diff and its copy draw independently, and the order of three does not matter")
  func copies() throws {
    let ones = try additiveDiff([("t", [1000], [Double](repeating: 1, count: 1000))])
    let copy = try additiveDiff(
      [("t", [1000], [Double](repeating: 1, count: 1000))], metadata: ["a": "b"])
    func draw(_ diffs: [DiffReader], _ weights: [Double]? = nil) throws -> [Double] {
      try merge(diffs, weights) {
        ($0.method, $0.density, $0.rescale) = (.dareLinear, 0.5, Rescale.none)
      }
      .diff.dense("t", count: 1000)
    }
    let both = try draw([ones, copy])
    #expect(Set(both) == [0, 1, 2])
    #expect((400...600).contains(both.count { $0 == 1 }))
    #expect(try draw([copy, ones]) == both)
    #expect(try draw([copy, ones, copy], [1, 2, 3]) == draw([copy, copy, ones], [3, 1, 2]))
  }

  @Test("a density of 0 keeps nothing", arguments: SignVariant.allCases)
  func nothing(_ variant: SignVariant) throws {
    let (made, summary) = try merge([try diff([1, 2, 3, 4]), try diff([0, 1, 0, 5])]) {
      ($0.method, $0.variant, $0.density) = (.ties, variant, 0)
    }
    #expect(made.isEmpty)
    #expect(summary.tensors.map(\.changes) == [0])
  }

  @Test("a diff of weight 0 has no vote", arguments: SignVariant.allCases)
  func noVote(_ variant: SignVariant) throws {
    let diffs = [try diff([1, 2, 0, 4]), try diff([-5, 7, 5, 1])]
    let alone = try merge([diffs[0]]) { ($0.method, $0.variant) = (.ties, variant) }.diff
    let (made, summary) = try merge(diffs, [1, 0]) { ($0.method, $0.variant) = (.ties, variant) }
    #expect(try made.dense("t", count: 4) == alone.dense("t", count: 4))
    #expect(summary.tensors.map(\.diffs) == [1])
    #expect(
      try merge(diffs, [1, 0]) { $0.method = .ram }.diff.dense("t", count: 4) == [1, 2, 0, 4])
  }

  @Test("diffs that share no tensor with others are named")
  func unrelated() throws {
    let one = try additiveDiff([("a", [2], [1, 1]), ("b", [2], [1, 0])])
    let other = try additiveDiff([("c", [2], [1, 1])])
    #expect(try merge([one, other]).summary.unrelated.count == 2)
    #expect(try merge([one, one, other]).summary.unrelated == ["diff \(other.identity)"])
    #expect(try merge([one]).summary.unrelated.isEmpty)
  }

  @Test("weights and densities differ by tensor and by diff")
  func settings() throws {
    let diffs = try (0..<2).map { number in
      try additiveDiff([
        ("a.x", [4], [4, 3, 2, 1].map { $0 * Double(1 + 9 * number) }), ("b", [2], [1, 1]),
      ])
    }
    var inputs = diffs.map { MergeInput($0) }
    inputs[0].weight["a/x"] = 2
    inputs[1].weight["b"] = 0
    func made(_ method: MergeMethod, _ variant: SignVariant = .peft) throws -> DiffReader {
      var options = MergeOptions()
      (options.method, options.variant) = (method, variant)
      let sink = MemorySink()
      _ = try Diffs.merge(inputs, into: sink, options)
      return try DiffReader(bytes: sink.bytes)
    }
    #expect(try made(.sum).dense("a.x", count: 4) == [48, 36, 24, 12])
    #expect(try made(.sum).dense("b", count: 2) == [1, 1])
    #expect(try made(.average).dense("a.x", count: 4) == [16, 12, 8, 4])
    inputs[0].density = 0.5
    inputs[1].density = 0.25
    #expect(try made(.ties).dense("a.x", count: 4) == [24, 6, 0, 0])
    inputs[1].density?["a.x"] = 0
    #expect(try made(.ties).dense("a.x", count: 4) == [8, 6, 0, 0])
    let error = #expect(throws: DiffError.self) { try made(.ties, .reference) }
    #expect(error?.message.contains("over all tensors together") == true)
  }

  @Test("division by the weights can be requested and omitted")
  func normalization() throws {
    let diffs = [try diff([1, 2, 0, 4]), try diff([2, -1, 5, 1])]
    func made(_ method: MergeMethod, _ variant: SignVariant, _ normalizes: Bool?) throws -> [Double]
    {
      try merge(diffs, [2, 6]) {
        ($0.method, $0.variant, $0.normalizes) = (method, variant, normalizes)
      }.diff.dense("t", count: 4)
    }
    #expect(try made(.sum, .reference, true) == made(.average, .reference, nil))
    #expect(try made(.ties, .mergekit, false) == [14, -6, 30, 14])
    #expect(try made(.ties, .mergekit, true) == made(.ties, .mergekit, nil))
    #expect(try made(.ties, .peft, false) == [14, 4, 30, 14])
    #expect(throws: DiffError.self) { try made(.average, .reference, false) }
    #expect(throws: DiffError.self) { try made(.ram, .reference, true) }
  }
}
