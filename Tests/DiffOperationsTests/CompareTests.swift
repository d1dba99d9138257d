import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct CompareTests {
  /// The deltas of an additive diff, by tensor and position.
  private func deltas(_ diff: DiffReader) throws -> [TensorName: [UInt64: Double]] {
    var all: [TensorName: [UInt64: Double]] = [:]
    for entry in diff {
      guard case .add(.f16, let scale) = entry.operation else { continue }
      let (positions, values) = try changes(diff, entry)
      for (i, position) in positions.enumerated() {
        let bits = UInt16(values[2 * i]) | UInt16(values[2 * i + 1]) << 8
        all[entry.name, default: [:]][position] =
          Double(Float16(bitPattern: bits)) * Double(sign: .plus, exponent: scale, significand: 1)
      }
    }
    return all
  }

  private func near(_ a: Double?, _ b: Double?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return abs(a - b) <= 1e-12 * max(1, abs(b))
  }

  /// Computes with dictionaries the counts that `compare` finds by sorting.
  private func expect(
    _ diffs: [DiffReader], _ comparison: DiffComparison, _ what: String
  ) throws {
    let all = try diffs.map(deltas)
    for i in diffs.indices {
      for j in diffs.indices {
        let pair = comparison.pair(i, j)
        var (shared, signed, agreeing, union): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var (dot, squares) = (0.0, [0.0, 0.0])
        for name in Set(all[i].keys).union(all[j].keys) {
          let (a, b) = (all[i][name] ?? [:], all[j][name] ?? [:])
          union += UInt64(Set(a.keys).union(b.keys).count)
          squares[0] += a.values.reduce(0) { $0 + $1 * $1 }
          squares[1] += b.values.reduce(0) { $0 + $1 * $1 }
          for (position, value) in a {
            guard let other = b[position] else { continue }
            shared += 1
            dot += value * other
            guard value != 0, other != 0 else { continue }
            signed += 1
            if (value < 0) == (other < 0) { agreeing += 1 }
          }
        }
        #expect((pair.shared, pair.signed, pair.agreeing) == (shared, signed, agreeing), "\(what)")
        #expect(near(pair.jaccard, union == 0 ? 1 : Double(shared) / Double(union)), "\(what)")
        let norms = squares[0].squareRoot() * squares[1].squareRoot()
        #expect(near(pair.cosine, norms == 0 ? nil : dot / norms), "\(what)")
        #expect(
          near(pair.normRatio, squares[0] == 0 ? nil : (squares[1] / squares[0]).squareRoot()))
      }
    }
  }

  /// Finetunes of three vectors, the first of each at the same positions, as additive diffs.
  private func family(_ count: Int, seed: UInt64) throws -> (MemoryCheckpoint, [DiffReader]) {
    var random = SplitMix64(seed: seed)
    let sizes: [(TensorName, Int)] = [("a", 3000), ("b", 40), ("c", 20_000)]
    let base = sizes.map { vector($0.0, .init(repeating: 1, count: $0.1)) }
    let diffs = try (0..<count).map { number in
      let tuned = sizes.enumerated().map { index, size in
        vector(
          size.0,
          (0..<size.1).map { position in
            let isChanged =
              index == 0 ? position % (3 + number % 2) == 0 : random.next() % 7 == 0 && number != 2
            return isChanged ? 1 + Float(Int(random.next() % 17) - 8) / 8 : 1
          })
      }
      return try diff(MemoryCheckpoint(base), MemoryCheckpoint(tuned), .add(.all, values: .f16))
    }
    return (MemoryCheckpoint(base), diffs)
  }

  @Test("all statistics of all pairs are those counted by hand", arguments: [1, 2, 3])
  func figures(seed: UInt64) throws {
    let (_, diffs) = try family(5, seed: seed)
    let comparison = try Diffs.compare(diffs)
    try expect(diffs, comparison, "seed \(seed)")
    #expect(!comparison.areSame)
    #expect(comparison.isSame(0) && !comparison.isSame(1))
    #expect(comparison.notes.contains { $0.diff == 2 && $0.what.contains("only by the first") })
    let two = try Diffs.compare([diffs[0], diffs[3]])
    try expect([diffs[0], diffs[3]], two, "seed \(seed)")
    #expect(two.tensors.map(\.name) == ["a", "b", "c"])
    #expect(two.tensors.reduce(0) { $0 + $1.pair.shared } == two.pair(0, 1).shared)
    #expect(two.tensors.reduce(0) { $0 + $1.differing } == two.differing[1])
    #expect(try Diffs.compare([diffs[0], diffs[0], diffs[0]]).areSame)
  }

  @Test("tensors of many windows are counted as small ones are")
  func windows() throws {
    let count = 3_000_000
    func tuned(_ step: Int, _ value: Float) -> MemoryCheckpoint {
      var values = [Float](repeating: 0, count: count)
      for i in stride(from: 0, to: count, by: step) { values[i] = value }
      return MemoryCheckpoint([vector("w", values)])
    }
    let base = MemoryCheckpoint([vector("w", .init(repeating: 0, count: count))])
    let diffs = try [tuned(4, 1), tuned(6, -2), tuned(6, 3)].map {
      try diff(base, $0, .add(.all, values: .f16))
    }
    let exact = try [tuned(4, 1), tuned(6, -2), tuned(6, 3)].map { try diff(base, $0) }
    for comparison in [try Diffs.compare(diffs), try Diffs.compare(exact, base: base)] {
      #expect(comparison.changes == [750_000, 500_000, 500_000])
      #expect(comparison.pair(0, 1).shared == 250_000)
      #expect(comparison.pair(0, 1).dot == -500_000)
      #expect(comparison.pair(2, 1).dot == -3_000_000)
      #expect(comparison.pair(0, 1).signAgreement == 0)
      #expect(comparison.pair(0, 2).signAgreement == 1)
      #expect(comparison.pair(1, 2).normRatio == 1.5)
      #expect(comparison.differing == [0, 1_000_000, 1_000_000])
    }
  }

  @Test("exact diffs have positions and bits; with their base, deltas too")
  func exact() throws {
    let (base, additive) = try family(2, seed: 9)
    let results = try additive.map { try #require(try patched(base, [$0])) }
    let diffs = [try diff(base, results[0]), try diff(base, results[1], .replace)]
    let blind = try Diffs.compare(diffs)
    #expect(blind.norms == [nil, nil])
    #expect(blind.pair(0, 1).cosine == nil && blind.pair(0, 1).normRatio == nil)
    let seen = try Diffs.compare(diffs, base: base)
    #expect(blind.pair(0, 1).shared == seen.pair(0, 1).shared)
    #expect(seen.notes.allSatisfy { $0.what == "replace, not xor" })
    // Deltas that round to nothing are not in the exact diffs; the values here are exact.
    let numbers = try Diffs.compare(additive)
    #expect(near(seen.pair(0, 1).dot, numbers.pair(0, 1).dot))
    #expect(near(seen.squares[1] ?? nil, numbers.squares[1] ?? nil))
    let error = #expect(throws: DiffError.self) { try Diffs.compare(diffs, base: results[0]) }
    #expect(error?.code == .wrongBase)
    #expect(try Diffs.compare([diffs[0], try diff(base, results[0])]).areSame)
    #expect(try !Diffs.compare([diffs[0], try diff(results[1], results[0])]).areSame)
  }

  @Test("inserted, deleted and reshaped tensors are compared whole")
  func wholes() throws {
    let base = MemoryCheckpoint([vector("a", [1, 2]), vector("b", [3]), vector("c", [4, 5])])
    func tuned(_ head: Float, _ grown: [Float]) throws -> DiffReader {
      try diff(
        base, MemoryCheckpoint([vector("a", [1, 2]), vector("c", grown), vector("h", [head])]))
    }
    let one = try tuned(1, [4, 5, 6])
    #expect(try Diffs.compare([one, tuned(1, [4, 5, 6])]).areSame)
    let notes = try Diffs.compare([one, tuned(2, [4, 5, 7])]).notes
    #expect(notes.map(\.tensor) == ["c", "h"])
    #expect(notes.map(\.diff) == [1, 1])
    #expect(try Diffs.compare([one, tuned(1, [4])]).notes.map(\.tensor) == ["c"])
  }

  @Test(
    "values are close as in NumPy's isclose, with NaN equal",
    arguments: [
      (1.0, 1.0, 0, 0, true), (1, 1.1, 0.1001, 0, true), (1, 1.1, 0.0999, 0, false),
      // The second value is the reference: 10 - 11 within a tenth of 11, not of 10.
      (10, 11, 0, 0.0950, true), (11, 10, 0, 0.0950, false),
      (.nan, .nan, 0.1, 0, true), (.nan, 1, 9, 9, false), (.infinity, .infinity, 0.1, 0, true),
      (.infinity, -.infinity, 9, 9, false), (1e300, .infinity, 9, 9, false), (0, -0.0, 1, 0, true),
    ] as [(Double, Double, Double, Double, Bool)])
  func tolerance(a: Double, b: Double, absolute: Double, relative: Double, close: Bool) throws {
    var options = CompareOptions()
    options.tolerance = Tolerance(absolute: absolute, relative: relative)
    func checkpoint(_ value: Double) -> MemoryCheckpoint {
      MemoryCheckpoint([MemoryTensor("w", .f64, littleEndian([0, value, 0]))])
    }
    let comparison = try checkpoint(a).compare(with: checkpoint(b), options)
    #expect(comparison.areSame == close)
    let isSame = try checkpoint(a).compare(with: checkpoint(b)).areSame
    #expect(isSame == (a.bitPattern == b.bitPattern))
  }

  @Test("additive diffs are compared with a tolerance, no change being a delta of zero")
  func additiveTolerance() throws {
    let base = MemoryCheckpoint([vector("w", [0, 0, 0, 0])])
    let diffs = try [[1, 0, 0.5, 0], [1.25, 0.25, 0.5, 0]].map {
      try diff(base, MemoryCheckpoint([vector("w", $0)]), .add(.all, values: .f16))
    }
    #expect(try Diffs.compare(diffs).differing == [0, 2])
    for (absolute, differing) in [(0.2, 2), (0.25, 0)] as [(Double, UInt64)] {
      var options = CompareOptions()
      options.tolerance = Tolerance(absolute: absolute)
      #expect(try Diffs.compare(diffs, options).differing == [0, differing])
    }
  }

  @Test("checkpoints: every type and shape, counted and measured by hand", arguments: 0..<4)
  func checkpoints(seed: Int) throws {
    var model = RandomModel(seed: 700 + seed)
    let tensors = model.everything() + (seed == 0 ? model.large() : [])
    let tuned = tensors.map { model.tuned($0, density: 0.01) }
    let comparison = try MemoryCheckpoint(tensors).compare(with: MemoryCheckpoint(tuned))
    #expect(comparison.tensors.count == tensors.count)
    for tensor in comparison.tensors {
      guard let one = tensors.first(where: { $0.name == tensor.name }),
        let other = tuned.first(where: { $0.name == tensor.name })
      else { continue }
      let width = one.type.width
      let differing = stride(from: 0, to: one.bytes.count, by: width).filter {
        one.bytes[$0..<$0 + width] != other.bytes[$0..<$0 + width]
      }
      #expect(tensor.differing == UInt64(differing.count), "seed \(seed) \(tensor.name)")
      guard one.type == .i16 else { continue }
      func number(_ bytes: [UInt8], _ at: Int) -> Int {
        Int(Int16(bitPattern: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8))
      }
      let largest = differing.map { abs(number(one.bytes, $0) - number(other.bytes, $0)) }.max()
      #expect(tensor.largest == Double(largest ?? 0), "seed \(seed) \(tensor.name)")
    }
  }

  @Test("tensors of only one checkpoint, and other types and shapes, are reported")
  func structure() throws {
    let one = MemoryCheckpoint([
      vector("a.x", [1, 2]), vector("b", [1]), MemoryTensor("c", .i32, littleEndian([1])),
    ])
    let other = MemoryCheckpoint([vector("a/x", [1, 2.5]), vector("c", [1]), vector("d", [1, 2])])
    let comparison = try one.compare(with: other)
    #expect((comparison.onlyInFirst, comparison.onlyInSecond) == (["b"], ["d"]))
    #expect(comparison.tensors.map(\.name) == ["a.x", "c"])
    #expect(comparison.tensors.map(\.differing) == [1, nil])
    #expect(comparison.tensors[0].largest == 0.5)
    #expect(!comparison.areSame)
  }
}
