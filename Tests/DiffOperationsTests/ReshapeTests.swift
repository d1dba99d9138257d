import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct ReshapeTests {
  /// Pairs of shapes: rows more and fewer, columns, several dimensions at once, another rank,
  /// nothing in common, nothing at all, scalars, and more than a window of blocks.
  static let shapes: [([UInt64], [UInt64])] = [
    ([5, 4], [8, 4]), ([8, 4], [5, 4]), ([5, 4], [5, 7]), ([5, 7], [5, 4]), ([2, 3], [3, 2]),
    ([2, 3, 4], [3, 2, 4]), ([4, 3, 5], [2, 6, 5]), ([2, 3, 4, 2], [2, 4, 3, 3]), ([6], [2, 3]),
    ([], [1]), ([0, 3], [2, 3]), ([2, 3], [2, 0]), ([6, 0], [0, 6]), ([7], [9]),
    ([1500, 300], [1503, 300]), ([1500, 300], [1503, 301]), ([3, 700_000], [2, 900_000]),
    ([2, 400_000, 3], [3, 400_001, 2]),
  ]

  @Test("the positions of the box are those in both shapes, by brute force", arguments: shapes)
  func layout(old: [UInt64], new: [UInt64]) throws {
    let (shape, other) = (try #require(Shape(old)), try #require(Shape(new)))
    guard shape.count < 5000 else { return }
    let layout = BoxLayout(of: shape, overlapping: other)
    let inside = (0..<shape.count).map { position in
      old.count == new.count && zip(indices(position, old), new).allSatisfy { $0 < $1 }
    }
    let positions = inside.indices.filter { inside[$0] }.map(UInt64.init)
    for begin in stride(from: 0, to: positions.count, by: 3) {
      for end in begin...positions.count {
        let ranges = layout.ranges(ofBox: UInt64(begin)..<UInt64(end))
        #expect(ranges.flatMap { $0 } == Array(positions[begin..<end]))
        #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound })
      }
    }
    for begin in stride(from: 0, through: inside.count, by: 2) {
      let runs = layout.runs(of: UInt64(begin)..<UInt64(inside.count))
      let all = runs.flatMap { [Bool](repeating: $0.isInside, count: $0.count) }
      #expect(all == Array(inside[begin...]))
    }
  }

  private func indices(_ position: UInt64, _ extents: [UInt64]) -> [UInt64] {
    var rest = position
    var indices: [UInt64] = []
    for extent in extents.reversed() {
      indices.append(rest % extent)
      rest /= extent
    }
    return indices.reversed()
  }

  @Test(
    "a reshaped tensor round-trips, with its undo, exact in both directions",
    arguments: shapes, [CreateMode.xor, .replace, .add(.all, values: .f16)])
  func roundTrip(shapes: ([UInt64], [UInt64]), mode: CreateMode) throws {
    let (old, new) = (try #require(Shape(shapes.0)), try #require(Shape(shapes.1)))
    var random = SplitMix64(seed: old.count * 31 + new.count)
    // Equal where the positions agree modulo a small number, so that some of the box is unchanged.
    func tensor(_ shape: Shape, _ period: UInt64) -> MemoryTensor {
      let values = (0..<shape.count).map { Float($0 % period) * ($0 % 7 == 0 ? 1 : 3) }
      return MemoryTensor("grown", .f32, shape, littleEndian(values))
    }
    let other = vector("other", (0..<9).map { _ in Float(random.next() % 8) })
    var changed = other
    changed.bytes[3] ^= 1
    let base = MemoryCheckpoint([tensor(old, 5), other])
    let tuned = MemoryCheckpoint([tensor(new, 11), changed])
    let made = try diff(base, tuned, mode)
    #expect(made.first { $0.name == "grown" }?.operation == .reshape(to: new))
    try Scratch.with { scratch in
      var options = ApplyOptions()
      options.undoPath = scratch("undo.diff")
      let applied = try #require(try patched(base, [made], .apply, options))
      if mode == .xor { #expect(same(applied, tuned)) }
      let grown = try #require(applied.all.first { $0.name == "grown" })
      #expect(grown.shape == new && grown.bytes == tensor(new, 11).bytes)
      #expect(try patched(applied, [made]) == nil)
      #expect(try same(patched(applied, [DiffReader(scratch("undo.diff"))]), base))
      if mode == .xor {
        #expect(try same(patched(tuned, [made], .revert), base))
        #expect(try patched(base, [made], .revert) == nil)
        #expect(try Diffs.verify(made, against: base).checkpoint == .base)
        #expect(try Diffs.verify(made, against: tuned).checkpoint == .applied)
      }
    }
  }

  @Test("elements other than the diff's are refused, in either shape, and nothing is written")
  func otherBase() throws {
    func checkpoint(_ rows: UInt64, _ first: Float) throws -> MemoryCheckpoint {
      let values = (0..<rows * 2).map { $0 == 0 ? first : Float($0) }
      return MemoryCheckpoint([
        MemoryTensor("w", .f32, try #require(Shape([rows, 2])), littleEndian(values))
      ])
    }
    let made = try diff(checkpoint(3, 1), checkpoint(5, 2))
    #expect(refusal(try checkpoint(3, 9), [made])?.code == .wrongBase)
    #expect(refusal(try checkpoint(5, 9), [made])?.code == .wrongBase)
    #expect(refusal(try checkpoint(4, 1), [made])?.code == .mismatch)
    #expect(try Diffs.verify(made, against: checkpoint(5, 9)).checkpoint == .different)
  }

  @Test("a reshape among several diffs of one tensor is refused with a remedy")
  func chain() throws {
    let states = [[1, 2], [1, 3], [1, 3, 4]].map { MemoryCheckpoint([vector("w", $0)]) }
    let diffs = [try diff(states[0], states[1]), try diff(states[1], states[2])]
    let error = refusal(states[0], diffs)
    #expect(error?.code == .unsupported)
    #expect(error?.message.contains("one after the other") == true)
  }
}
