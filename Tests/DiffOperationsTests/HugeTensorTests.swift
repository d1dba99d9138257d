import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// A tensor of 2^33 elements, in files that are nearly all hole: 8 GiB to read, a few kilobytes
/// to store.
@Suite(.serialized) struct HugeTensorTests {
  @Test("a tensor of 2^33 elements round-trips, and its files stay sparse")
  func roundTrip() throws {
    try Scratch.with { scratch in
      let count: UInt64 = 1 << 33
      let positions: [UInt64] = [0, 1, 4095, (1 << 32) - 1, 1 << 32, (1 << 32) + 77, count - 1]
      let shape = try #require(Shape([1 << 13, 1 << 20]))

      let basePath = scratch("base.h5")
      let small = try CheckpointFile.open(Repository.base)
      let making = try small.makeOutput(at: basePath, rewriting: [], overwriting: false)
      _ = try making.insert("huge", .u8, shape)
      try making.commit()
      let base = try CheckpointFile.open(basePath)
      let huge = try #require(base.tensors.first { $0.name == "huge" })

      let tunedPath = scratch("tuned.h5")
      let tuning = try base.makeOutput(at: tunedPath, rewriting: [], overwriting: false)
      for position in positions { try tuning.write([7].span, to: huge, at: position) }
      try tuning.commit()

      let sink = MemorySink()
      let summary = try Diffs.create(from: base, to: try CheckpointFile.open(tunedPath), into: sink)
      #expect(summary.changes == UInt64(positions.count))
      let diff = try DiffReader(bytes: sink.bytes)
      #expect(sink.bytes.count < 1000)

      let madePath = scratch("made.h5")
      var options = ApplyOptions()
      options.verification = .touched
      _ = try Diffs.apply([diff], to: base, output: madePath, options)
      let made = try CheckpointFile.open(madePath)
      #expect(try Diffs.verify(diff, against: made, .touched).checkpoint == .applied)
      for path in [basePath, tunedPath, madePath] {
        #expect(try File(path).size > count)
        #expect(try File(path).allocatedSize < 16 << 20, "\(path) is not sparse")
      }
    }
  }
}
