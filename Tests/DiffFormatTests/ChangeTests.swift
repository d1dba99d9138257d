import DiffFormat
import Kernels
import TensorCore
import Testing
import TestSupport

/// Runs of changes, held and borrowed.
@Suite struct ChangeTests {
  private let run = ChangeRun<UInt8>(at: 1 << 40, [0, 3, 4, 9], [1, 0, 2, 0, 3, 0, 4, 0])

  private func list(_ changes: ChangeView<UInt8>) -> Changes {
    var list = Changes()
    list.append(changes)
    return list
  }

  @Test("a view has a count, positions and an end")
  func facts() {
    let view = run.view
    let (count, width, end) = (view.count, view.width, view.end)
    #expect(count == 4 && width == 2 && end == 1 << 40 + 10)
    #expect(list(run.view) == Changes([0, 3, 4, 9].map { 1 << 40 + $0 }, run.values))
    let none = ChangeRun<UInt8>(at: 7).view
    let (isEmpty, start) = (none.isEmpty, none.end)
    #expect(isEmpty && start == 7)
  }

  @Test(
    "a slice holds the changes to its elements, and no others",
    arguments: [
      (0..<1 << 40, 0..<0), (0..<1 << 40 + 1, 0..<1), (1 << 40 + 1..<1 << 40 + 3, 1..<1),
      (1 << 40 + 3..<1 << 40 + 9, 1..<3), (1 << 40 + 4..<UInt64.max, 2..<4),
      (1 << 40 + 10..<UInt64.max, 0..<0), (0..<UInt64.max, 0..<4),
    ] as [(Range<UInt64>, Range<Int>)])
  func slices(elements: Range<UInt64>, indices: Range<Int>) {
    let found = run.view.indices(of: elements)
    #expect(found.count == indices.count)
    let all = list(run.view)
    let part = list(run.view.sliced(to: elements))
    #expect(part.positions == Array(all.positions[indices]))
    #expect(part.values == Array(all.values[indices.lowerBound * 2..<indices.upperBound * 2]))
  }

  @Test("offsets are relative to any origin within 32 bits", arguments: [-5, 0] as [Int64])
  func rebasing(distance: Int64) {
    let origin = UInt64((1 << 40) + distance)
    let offsets = run.view.offsets(from: origin)
    #expect(offsets == run.offsets.map { $0 + UInt32(-distance) })
    // The offsets of a slice may be relative to a position inside of its run.
    let elements: Range<UInt64> = 1 << 40 + 2..<1 << 40 + 9
    let inside = run.view.sliced(to: elements).offsets(from: elements.lowerBound)
    #expect(inside == [1, 2])
  }

  @Test("changes are applied to a block that begins before or inside of them")
  func blocks() {
    let origin: UInt64 = 1 << 40 + 2
    var block = [UInt8](repeating: 0xF0, count: 14)
    let slice = run.view.sliced(to: origin..<origin + 7)
    var span = block.mutableSpan
    slice.scatter(.xor, into: &span, at: origin)
    #expect(block == [0xF0, 0xF0, 0xF2, 0xF0, 0xF3] + [UInt8](repeating: 0xF0, count: 9))
    let gathered = slice.gathered(from: block.span, width: 2, at: origin)
    #expect(gathered == [0xF2, 0xF0, 0xF3, 0xF0])
    let added = ChangeRun<Double>(at: 100, [0, 2], [0.5, 1])
    var halves = [UInt8](repeating: 0, count: 10)
    var room = halves.mutableSpan
    added.view.add(to: &room, .bf16, at: 98)
    #expect(halves == [0, 0, 0, 0, 0, 0x3F, 0, 0, 0x80, 0x3F])
  }

  @Test("a run accepts ascending changes, and nothing of others")
  func appending() {
    var all = ChangeRun<UInt8>(at: 1 << 40 - 10)
    let isWhole = all.append(run.view)
    #expect(isWhole)
    #expect(all.offsets == [10, 13, 14, 19] && all.values == run.values)
    let disordered = ChangeRun<UInt8>(at: 1 << 40 + 20, [1, 1], [5, 5, 5, 5])
    let isTaken = all.append(disordered.view)
    #expect(!isTaken)
    #expect(all.offsets.count == 4 && all.values.count == 8)
  }

  @Test("positions are divided where they are too many, or too far apart")
  func cutting() {
    let positions: [UInt64] = [1, 2, 3, 1 << 32, 1 << 32 + 1, 1 << 33]
    let runs = positions.runs(upTo: 2)
    #expect(runs.map(\.start) == [1, 3, 1 << 32 + 1])
    #expect(runs.map(\.offsets) == [[0, 1], [0, (1 << 32) - 3], [0, (1 << 32) - 1]])
    #expect(runs.flatMap(\.indices) == Array(0..<6))
    #expect(positions.runs().map(\.indices) == [0..<4, 4..<6])
    #expect([UInt64]().runs().isEmpty)
  }

  @Test("a whole tensor is written the same with and without offsets")
  func every() throws {
    var random = SplitMix64(seed: 21)
    let bytes = random.bytes(3 * 100_000)
    let entry = DiffEntry("w", .insert, .bits24, shape(100_000))
    let expected = try Contents([.init(entry, Changes(whole: bytes, width: 3))]).encoded()
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    try writer.begin(entry)
    try writer.append(at: 0, every: bytes.span.extracting(0..<3 * 70_000))
    try writer.append(at: 70_000, every: bytes.span.extracting(3 * 70_000..<3 * 100_000))
    try writer.end()
    try writer.finish()
    #expect(sink.bytes == expected)
  }
}
