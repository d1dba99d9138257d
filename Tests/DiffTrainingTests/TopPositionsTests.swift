import DiffTraining
import Platform
import TensorCore
import Testing
import TestSupport

@Suite struct TopPositionsTests {
  /// Parameters whose names are not in the order of the buffer.
  private static func layout() throws -> ParameterLayout {
    var layout = ParameterLayout()
    for (name, count) in [("m", 37), ("b", 100), ("z", 5), ("a", 64)] as [(TensorName, UInt64)] {
      try layout.append(name, Shape(vector: count))
    }
    try layout.append("head", Shape(vector: 40), isHead: true)
    return layout
  }

  @Test("the largest magnitudes; among equals the first by tensor name, then position")
  func selectionIsExact() throws {
    let layout = try Self.layout()
    let seed = TestSeed.value
    var random = SplitMix64(seed: seed)
    for round in 0..<60 {
      let values = FloatBuffer(count: layout.count)
      // Many equals, zeros of both signs, subnormal numbers, and a head that must not count.
      let tiny = Float(bitPattern: 100)
      let choices: [Float] = [0, -0.0, 1, -1, 0.5, tiny, -tiny, 3e-5, Float(random.unit())]
      values.set(
        (0..<layout.count).map { _ in choices[Int(random.next() % UInt64(choices.count))] },
        at: 0)
      let body = layout.parameters.filter { !$0.isHead }.sorted { $0.name < $1.name }
      let ordered = body.flatMap { Array($0.range) }.enumerated()
        .filter { values.span[$0.element] != 0 }
        .sorted {
          let (one, other) = (
            values.span[$0.element].magnitude, values.span[$1.element].magnitude
          )
          return one != other ? one > other : $0.offset < $1.offset
        }.map(\.element)
      for wanted in [0, 1, 7, 60, 150, 206, 1000] {
        #expect(
          TopPositions(wanted, of: values, layout).positions == ordered.prefix(wanted).sorted(),
          "seed \(seed) round \(round) wanted \(wanted)")
      }
    }
  }
}
