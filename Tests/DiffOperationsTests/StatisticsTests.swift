import DiffFormat
import DiffOperations
import Platform
import TensorCore
import Testing
import TestSupport

@Suite struct StatisticsTests {
  @Test("statistics of an additive diff equal those counted by hand")
  func additive() throws {
    let base = MemoryCheckpoint([vector("a", [0, 0, 0, 0, 0, 0]), vector("b", [0, 0])])
    let tuned = MemoryCheckpoint([vector("a", [0, 1, -2, 0, 0.75, 3]), vector("b", [0, -0.25])])
    let report = try Diffs.statistics(of: diff(base, tuned, .add(.all, values: .f16)))
    #expect(report.entries.map(\.entry.name) == ["a", "b"])
    #expect(report.entries.map(\.statistics.changes) == [4, 1])
    #expect(report.entries.map(\.statistics.elements) == [6, 2])
    let all = report.sparse
    #expect((all.changes, all.elements, all.density) == (5, 8, 0.625))
    let values = all.values
    #expect((values.count, values.negative, values.zero) == (5, 2, 0))
    #expect((values.smallest, values.largest) == (0.25, 3))
    #expect(values.l1 == 7)
    #expect(values.squares == 1 + 4 + 0.5625 + 9 + 0.0625)
    #expect(values.l2 == values.squares.squareRoot())
    #expect(values.meanMagnitude == 7.0 / 5)
    #expect(values.binades == [0: 1, 1: 2, -1: 1, -2: 1])
    #expect(report.wholeBytes == 0)
  }

  @Test("a number of elements beyond 64 bits is clamped")
  func claims() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    for number in 10..<40 {
      try writer.begin(DiffEntry("\(number)", .xor, .f32, #require(Shape([(1 << 60) - 1]))))
      try writer.end()
    }
    try writer.finish()
    let report = try Diffs.statistics(of: DiffReader(bytes: sink.bytes))
    #expect(report.sparse.elements == .max)
  }

  @Test("bytes of positions and values add up to the file")
  func bytes() throws {
    var model = RandomModel(seed: 800)
    let base = model.everything()
    let tuned = base.map { model.tuned($0, density: 0.2) }
    let whole = MemoryTensor("whole", .u8, model.random.bytes(1000))
    let made = try diff(MemoryCheckpoint(base), MemoryCheckpoint(tuned + [whole]))
    let report = try Diffs.statistics(of: made)
    #expect(report.fileSize == made.size)
    #expect(report.sparse.storedBytes + report.wholeBytes + made.indexSize + 80 == made.size)
    #expect(report.wholeBytes > 1000)
    #expect(report.sparse.changes == made.dropLast().reduce(0) { $0 + $1.count })
    #expect(report.sparse.values.count == 0)
    let sparse = report.sparse
    #expect(sparse.bitsPerPosition == Double(sparse.positionBytes) * 8 / Double(sparse.changes))
    #expect(sparse.bytesPerChange == Double(sparse.storedBytes) / Double(sparse.changes))
    #expect(sparse.positionBytes < sparse.storedBytes)
  }

  @Test("the bound is the logarithm of the number of ways to choose")
  func bound() {
    #expect(log2Choose(10, 0) == 0)
    #expect(log2Choose(10, 10) == 0)
    for (n, k, ways) in [(4, 2, 6.0), (10, 3, 120), (52, 5, 2_598_960)]
      as [(UInt64, UInt64, Double)]
    {
      #expect(abs(log2Choose(n, k) - log2(ways)) < 1e-9)
    }
    // n·H(k/n) less half a logarithm: 0.0454 bits per element at 0.5 %.
    #expect(abs(log2Choose(1_000_000, 5000) / 1_000_000 - 0.045_41) < 0.000_05)
  }

  @Test("no position code goes below the bound")
  func aboveBound() throws {
    var random = SplitMix64(seed: 801)
    let base = MemoryTensor("w", .u8, [UInt8](repeating: 0, count: 1_000_000))
    var tuned = base
    for i in tuned.bytes.indices where random.unit() < 0.005 { tuned.bytes[i] = 1 }
    let report = try Diffs.statistics(of: diff(MemoryCheckpoint([base]), MemoryCheckpoint([tuned])))
    #expect(report.sparse.bitsPerPosition >= report.sparse.boundPerPosition)
    #expect(report.sparse.bitsPerPosition < report.sparse.boundPerPosition * 1.05)
  }

  @Test("storage of tasks as the paper counts it")
  func storage() {
    let report = StorageReport(base: 1000, diffs: [5, 5, 10])
    #expect((report.tasks, report.diffs, report.copies) == (3, 20, 3000))
    #expect(report.ratio == 1.02)
    #expect(report.saving == 3000.0 / 1020)
  }
}
