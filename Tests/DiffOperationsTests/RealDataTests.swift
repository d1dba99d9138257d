import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct RealDataTests {
  private static let samples = Repository.path + "/samples/"
  private static let keras = Repository.shared + "/keras/"
  private static let resources = Repository.path + "/Tests/CheckpointsTests/Resources/"

  @Test("the MiniLM in samples with 0.5 % of its weights changed")
  func sampleModel() throws {
    try changeAtRandom(Self.samples + "minilm-l3-small/base.h5", elements: 7_825_536)
  }

  @Test(
    "all-MiniLM-L6-v2 with 0.5 % of its weights changed",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func miniLM() throws {
    try changeAtRandom(Repository.shared + "/models/minilm-l6/model.h5", elements: 22_713_216)
  }

  private func changeAtRandom(_ path: String, elements: UInt64) throws {
    try Scratch.with { scratch in
      let base = try CheckpointFile.open(path)
      try tune(base, scratch("tuned.h5"))
      let tuned = try CheckpointFile.open(scratch("tuned.h5"))
      let sink = try FileSink(scratch("task.diff"))
      let summary = try Diffs.create(from: base, to: tuned, into: sink)
      try sink.commit()
      #expect(summary.elements == elements)
      #expect(abs(Double(summary.changes) / Double(elements) - 0.005) < 0.0002)
      let made = try DiffReader(scratch("task.diff"))
      #expect(made.size < elements * 4 / 100)
      _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"))
      try expectEqual(scratch("applied.h5"), tuned)
      let applied = try CheckpointFile.open(scratch("applied.h5"))
      #expect(try Diffs.apply([made], to: applied, output: scratch("no")) == .alreadyDone)
      _ = try Diffs.apply([made], .revert, to: applied, output: scratch("reverted.h5"))
      try expectEqual(scratch("reverted.h5"), base)
      // One more change somewhere in the largest tensor: another base.
      let largest = try #require(made.max { $0.shape.count < $1.shape.count })
      let output = try base.makeOutput(at: scratch("other.h5"), rewriting: [], overwriting: false)
      let stored = try #require(base.tensors.first { $0.name == largest.name })
      try output.write([1, 2, 3, 4].span, to: stored, at: stored.byteCount - 4)
      try output.commit()
      let error = #expect(throws: DiffError.self) {
        try Diffs.apply([made], to: CheckpointFile.open(scratch("other.h5")), output: scratch("no"))
      }
      #expect(error?.code == .wrongBase)
      #expect(error?.tensor == largest.name)
      let names = try scratch.names
      #expect(names == ["applied.h5", "other.h5", "reverted.h5", "task.diff", "tuned.h5"])
    }
  }

  /// Changes 0.5 % of all elements, at random positions.
  private func tune(_ base: any Checkpoint, _ path: String) throws {
    var random = SplitMix64(seed: 1)
    let output = try base.makeOutput(at: path, rewriting: [], overwriting: false)
    for tensor in base.tensors {
      var bytes = try base.bytes(of: tensor)
      for element in 0..<Int(tensor.shape.count) where random.next() % 200 == 0 {
        // Bits of the fraction and of the exponent.
        let width = tensor.type.width
        bytes[element * width + width / 2] ^= UInt8(1 + random.next() % 255)
      }
      try output.write(bytes.span, to: tensor, at: 0)
    }
    try output.commit()
  }

  @Test(
    "a real finetune: textgenrnn and what Hacker News made of it",
    arguments: [
      CreateMode.xor, .replace,
    ])
  func hackerNews(mode: CreateMode) throws {
    try Scratch.with { scratch in
      let base = try CheckpointFile.open(Self.samples + "textgenrnn_weights.hdf5")
      let tuned = try CheckpointFile.open(Self.samples + "textgenrnn_hacker_news.hdf5")
      let made = try diff(base, tuned, mode)
      _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"))
      try expectEqual(scratch("applied.h5"), tuned)
      guard mode == .xor else { return }
      _ = try Diffs.apply(
        [made], .revert, to: CheckpointFile.open(scratch("applied.h5")), output: scratch("base.h5"))
      try expectEqual(scratch("base.h5"), base)
    }
  }

  @Test(
    "a diff made on one layout applies to every other of the same values",
    arguments: ["keras-base-gzip.h5", "keras-base-latest.h5"])
  func layouts(file: String) throws {
    try expectEveryLayout(
      Self.resources + "keras-base.h5", Self.resources + "keras-tuned.h5", Self.resources + file)
  }

  @Test(
    "a diff of textgenrnn made on one layout applies to every other of the same values",
    .enabled(if: Repository.haveShared, "needs ../shared/data"),
    arguments: [
      "textgenrnn.latest.h5", "textgenrnn.v110.h5", "textgenrnn.chunked.h5",
      "textgenrnn.gzip-shuffle.h5",
    ])
  func realLayouts(file: String) throws {
    try expectEveryLayout(
      Self.keras + "textgenrnn_weights.hdf5", Self.keras + "hacker_news.hdf5", Self.keras + file)
  }

  /// Applies the diff of a base and a finetune to `other`, which holds the base in another layout.
  private func expectEveryLayout(_ base: String, _ tuned: String, _ other: String) throws {
    try Scratch.with { scratch in
      let tuned = try CheckpointFile.open(tuned)
      let made = try diff(CheckpointFile.open(base), tuned)
      let base = try CheckpointFile.open(other)
      for verification in Verification.allCases {
        var options = ApplyOptions()
        options.verification = verification
        options.overwriting = true
        _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"), options)
        try expectEqual(scratch("applied.h5"), tuned)
        let applied = try CheckpointFile.open(scratch("applied.h5"))
        #expect(applied.tensors.map(\.storageKind) == base.tensors.map(\.storageKind))
        _ = try Diffs.apply([made], .revert, to: applied, output: scratch("reverted.h5"), options)
        try expectEqual(scratch("reverted.h5"), base)
      }
    }
  }
}

extension StoredTensor {
  /// The storage layout of the tensor, without its offset.
  fileprivate var storageKind: String {
    switch storage {
    case .contiguous: "contiguous"
    case .compact: "compact"
    case .chunked(let chunks): "\(chunks.shape) \(chunks.filters)"
    case .unallocated: "unallocated"
    }
  }
}
