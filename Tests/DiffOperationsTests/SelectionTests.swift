import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct SelectionTests {
  /// The kept positions, by a plain sort: magnitude, then name, then position.
  private func oracle(
    _ deltas: [(name: TensorName, values: [Float])], _ wanted: Int
  ) -> [TensorName: [UInt64]] {
    var all: [(magnitude: Float, tensor: Int, position: UInt64)] = []
    let deltas = deltas.sorted { $0.name < $1.name }
    for (tensor, delta) in deltas.enumerated() {
      for (position, value) in delta.values.enumerated() where value != 0 {
        all.append((value.magnitude, tensor, UInt64(position)))
      }
    }
    all.sort { a, b in
      (-a.magnitude, a.tensor, a.position) < (-b.magnitude, b.tensor, b.position)
    }
    var kept: [TensorName: [UInt64]] = [:]
    for (_, tensor, position) in all.prefix(wanted) {
      kept[deltas[tensor].name, default: []].append(position)
    }
    return kept.mapValues { $0.sorted() }
  }

  /// The changes that `create` keeps, from a base of zeros.
  private func kept(
    _ deltas: [(name: TensorName, values: [Float])], _ selection: Selection
  ) throws -> [TensorName: [UInt64]] {
    let base = MemoryCheckpoint(deltas.map { vector($0.name, $0.values.map { _ in 0 }) })
    let tuned = MemoryCheckpoint(deltas.map { vector($0.name, $0.values) })
    let made = try diff(base, tuned, .add(selection, values: .f16))
    #expect(try patched(base, [made]) != nil)
    return Dictionary(
      uniqueKeysWithValues: try made.map { ($0.name, try changes(made, $0).at) })
  }

  @Test("a density outside 0 ... 1 is refused", arguments: [-0.1, 1.1, .nan, .infinity])
  func noShare(density: Double) {
    let (base, tuned) = (
      MemoryCheckpoint([vector("w", [1, 1])]), MemoryCheckpoint([vector("w", [2, 1])])
    )
    let error = #expect(throws: DiffError.self) {
      try diff(base, tuned, .add(.density(density), values: .f16))
    }
    #expect(error?.code == .usage)
  }

  @Test("⌊density × elements⌋ positions, those of a plain sort", arguments: 0..<16)
  func density(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(500 + seed))
    // Few different magnitudes: most choices are between ties.
    let kinds = [1, 2, 5, 1000][seed % 4]
    let deltas = (["z", "a/b", "a.c", "m"] as [TensorName]).map { name in
      (
        name: name,
        values: (0..<Int.random(in: 1...2000, using: &random)).map { _ -> Float in
          guard random.unit() < 0.6 else { return 0 }
          let magnitude = Float(Int.random(in: 1...kinds, using: &random)) / 8
          return random.unit() < 0.5 ? magnitude : -magnitude
        }
      )
    }
    let elements = deltas.reduce(0) { $0 + $1.values.count }
    for density in [0.001, 0.005, 0.1, 0.37, 0.55, 0.7, 1] {
      let wanted = Int((density * Double(elements)).rounded(.down))
      #expect(
        try kept(deltas, .density(density)) == oracle(deltas, wanted),
        "seed \(seed) density \(density)")
    }
  }

  @Test("a density of less than one element keeps nothing")
  func nothing() throws {
    #expect(try kept([("w", [1, 2, 3])], .density(0.3)) == [:])
    #expect(try kept([("w", [1, 2, 3])], .density(0.34)) == ["w": [2]])
  }

  @Test("more wanted than there are changes keeps all of them")
  func more() throws {
    #expect(try kept([("w", [0, 1, 0, -1, 0])], .density(0.9)) == ["w": [1, 3]])
    #expect(try kept([("w", [0, 1, 0, -1, 0])], .all) == ["w": [1, 3]])
  }

  @Test("a change from −0 to 0 is not stored")
  func signedZero() throws {
    #expect(try kept([("w", [-0.0, 1])], .all) == ["w": [1]])
  }

  @Test("a threshold keeps equal and larger magnitudes")
  func threshold() throws {
    let deltas: [(name: TensorName, values: [Float])] = [
      ("v", [0.5, -0.5, 0.25]), ("w", [0.49999997, 2, -0.50000006]),
    ]
    #expect(try kept(deltas, .threshold(0.5)) == ["v": [0, 1], "w": [1, 2]])
    #expect(try kept(deltas, .threshold(3)) == [:])
  }

  @Test("integers do not count as elements")
  func integers() throws {
    let numbers = MemoryTensor("i", .i32, [UInt8](repeating: 0, count: 400))
    let base = MemoryCheckpoint([vector("w", [0, 0, 0, 0]), numbers])
    let tuned = MemoryCheckpoint([vector("w", [1, 4, 3, 2]), numbers])
    let made = try diff(base, tuned, .add(.density(0.5), values: .f16))
    #expect(try changes(made, made[0]).at == [1, 2])
  }

  /// More numbers than are collected and sorted in memory, so that the search continues inside a
  /// bin of its histogram.
  @Test("millions of magnitudes close together", arguments: [0, 1, 2])
  func crowded(kind: Int) throws {
    var random = SplitMix64(seed: UInt64(kind))
    let count = 1 << 21 + 100_003
    let values = (0..<count).map { i -> Float in
      let magnitude: Float =
        switch kind {
        // All equal; all in one first bin; two thirds equal and the others around them.
        case 0: 1
        case 1: 1 + Float(random.next() >> 40) * 0x1p-29
        default: i % 3 == 0 ? 1 + Float(random.next() >> 44) * 0x1p-23 : 1.01
        }
      return i % 2 == 0 ? magnitude : -magnitude
    }
    let wanted = Int((0.3 * Double(count)).rounded(.down))
    #expect(
      try kept([("w", values)], .density(0.3)) == oracle([("w", values)], wanted), "kind \(kind)")
  }
}
