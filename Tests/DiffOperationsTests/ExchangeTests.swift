import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Diffs as files of other tools: exchange_oracle.py has made some by NumPy, h5py and PEFT.
@Suite struct ExchangeTests {
  struct Expected: Decodable {
    let deltas, shira: [String: [Double]]
    let head: [Double]
  }

  private static let folder =
    Repository.path + "/Tests/DiffOperationsTests/Resources/exchange/"

  private static func expected() throws -> Expected {
    try JSONDecoder().decode(
      Expected.self, from: Data(try contents(ofFile: folder + "expected.json")))
  }

  private static func base() throws -> any Checkpoint {
    try CheckpointFile.open(folder + "base.safetensors")
  }

  private func imported(
    _ path: String, _ format: ExchangeFormat, _ options: ImportOptions = ImportOptions()
  ) throws -> DiffReader {
    let sink = MemorySink()
    _ = try Diffs.import(path, format, on: try Self.base(), into: sink, options)
    return try DiffReader(bytes: sink.bytes)
  }

  private static let files: [(String, ExchangeFormat)] = [
    ("coo.npz", .cooNpz), ("coo-deflated.npz", .cooNpz), ("sparse.h5", .sparseHDF5),
    ("sft.npz", .sftNpz), ("shira.safetensors", .shira),
  ]

  @Test("files of other tools are read correctly", arguments: files.indices)
  func reading(_ number: Int) throws {
    let (name, format) = Self.files[number]
    let expected = try Self.expected()
    let base = try Self.base()
    let diff = try imported(Self.folder + name, format)
    for (text, deltas) in format == .shira ? expected.shira : expected.deltas {
      let tensor = TensorName(text)
      #expect(try diff.dense(tensor, count: deltas.count) == deltas, "\(name) \(tensor)")
      let stored = try #require(base.tensors.first { $0.name == tensor })
      let entry = try #require(diff.entry(named: tensor))
      #expect(entry.base == (try base.fingerprint(of: stored)))
      #expect(entry.result == nil)
    }
    guard format != .shira else { return }
    let entry = try #require(diff.entry(named: "head.weight"))
    let bytes = try #require(try diff.contents(of: entry).streams[.changes]?.values)
    #expect(entry.shape == Shape([2, 3]))
    #expect(bytes == littleEndian(expected.head.map { Float($0) }))
  }

  @Test("arrays that are larger than their file are refused before anything is allocated")
  func hugeClaim() throws {
    let error = #expect(throws: DiffError.self) {
      try imported(Self.folder + "huge-claim.h5", .sparseHDF5)
    }
    #expect(error?.code == .limit)
    #expect(error?.tensor == "dense.weight/values")
  }

  @Test(
    "an export is imported again bit for bit",
    arguments: [ExchangeFormat.cooNpz, .sftNpz, .sparseHDF5])
  func roundTrip(_ format: ExchangeFormat) throws {
    let diff = try imported(Self.folder + "coo.npz", .cooNpz)
    try Scratch.with { scratch in
      let path = scratch("export")
      let summary = try Diffs.export(diff, to: path, format)
      #expect(summary.rounded == 0)
      #expect(summary.heads == 1)
      #expect(try imported(path, format).contents() == diff.contents())
      let half = try DiffReader(bytes: reencoded(diff, .f16))
      #expect(throws: DiffError.self) { try Diffs.export(half, to: path, format) }
      _ = try Diffs.export(half, to: path, format, overwriting: true)
      // Values that fit float16 are stored as such again.
      #expect(try imported(path, format).map(\.operation) == half.map(\.operation))
    }
  }

  @Test("an export to SHiRA is imported again")
  func shira() throws {
    let diff = try imported(Self.folder + "shira.safetensors", .shira)
    try Scratch.with { scratch in
      let path = scratch("adapter.safetensors")
      _ = try Diffs.export(diff, to: path, .shira)
      #expect(try imported(path, .shira).contents() == diff.contents())
      // PEFT's file holds the same bytes for each name.
      let (mine, theirs) = (
        try CheckpointFile.open(path), try CheckpointFile.open(Self.folder + "shira.safetensors")
      )
      #expect(mine.tensors.map(\.name) == theirs.tensors.map(\.name))
      #expect(mine.tensors.map(\.type) == theirs.tensors.map(\.type))
      #expect(mine.tensors.map(\.shape) == theirs.tensors.map(\.shape))
    }
    let vectors = try imported(Self.folder + "coo.npz", .cooNpz)
    let refusal = #expect(throws: DiffError.self) {
      try Diffs.export(vectors, to: "/nowhere/x", .shira)
    }
    #expect(refusal?.code == .unsupported)
    #expect(refusal?.remedy == .leaveOut)
  }

  @Test("archives are those of numpy.savez, array by array")
  func archiveBytes() throws {
    let diff = try imported(Self.folder + "coo.npz", .cooNpz)
    try Scratch.with { scratch in
      _ = try Diffs.export(diff, to: scratch("a.npz"), .cooNpz)
      _ = try Diffs.export(diff, to: scratch("b.npz"), .cooNpz)
      let (mine, theirs) = (
        try NpzFile(scratch("a.npz")), try NpzFile(Self.folder + "coo.npz")
      )
      #expect(Set(mine.names) == Set(theirs.names))
      for name in mine.names {
        #expect(try mine.array(name).file == theirs.array(name).file)
      }
      #expect(try contents(ofFile: scratch("a.npz")) == contents(ofFile: scratch("b.npz")))
    }
  }

  @Test("a damaged archive is read or refused", arguments: ["coo.npz", "coo-deflated.npz"])
  func damage(_ name: String) throws {
    let bytes = try contents(ofFile: Self.folder + name)
    var random = SplitMix64(seed: 77)
    try Scratch.with { scratch in
      let path = scratch("damaged.npz")
      for number in 0..<600 {
        var damaged = bytes
        if number % 3 == 0 {
          damaged.removeLast(Int.random(in: 1..<bytes.count, using: &random))
        } else {
          let at = Int.random(in: 0..<bytes.count, using: &random)
          damaged[at] ^= UInt8(1 << (random.next() % 8))
        }
        try write(damaged, toFile: path)
        // Dates and the like may be anything; nothing may trap.
        _ = try? imported(path, .cooNpz)
        try remove(path)
      }
    }
  }

  @Test("arrays that do not fit the base are refused")
  func unfit() throws {
    func error(_ arrays: [TensorName: (ElementType, [UInt64], [UInt8])]) throws -> DiffError? {
      try Scratch.with { scratch in
        let output = try NpzOutput(scratch("x.npz"), overwriting: false)
        for (name, array) in arrays {
          let shape = try #require(Shape(array.1))
          try output.write(name, NumPyArray(array.0, shape, array.2))
        }
        try output.commit()
        return #expect(throws: DiffError.self) { try imported(scratch("x.npz"), .cooNpz) }
      }
    }
    let shape = (ElementType.i64, [UInt64(1)], littleEndian([Int64(3)]))
    func arrays(
      _ name: TensorName, _ positions: [Int64], _ values: [Float]
    ) -> [TensorName: (ElementType, [UInt64], [UInt8])] {
      [
        "\(name)/indices": (.i64, [UInt64(positions.count)], littleEndian(positions)),
        "\(name)/values": (.f32, [UInt64(values.count)], littleEndian(values)),
        "\(name)/shape": shape,
      ]
    }
    #expect(try error(arrays("nothing", [1], [1]))?.code == .mismatch)
    #expect(try error(arrays("dense.weight", [1], [1]))?.code == .mismatch)
    #expect(try error(arrays("out.bias", [3], [1]))?.code == .malformed)
    #expect(try error(arrays("out.bias", [-1], [1]))?.code == .malformed)
    #expect(try error(arrays("out.bias", [1, 1], [1, 1]))?.code == .malformed)
    #expect(try error(arrays("out.bias", [1, 2], [1]))?.code == .malformed)
    #expect(try error(arrays("out.bias", [1], [.nan]))?.code == .unsupported)
    #expect(try error(["out.bias/values": shape])?.code == .mismatch)
    #expect(try error(["some/thing": shape])?.code == .mismatch)
  }

  // MARK: Other encodings

  private func reencoded(
    _ diff: DiffReader, _ values: FloatType? = nil, _ profile: EncodingProfile = .size
  ) throws -> [UInt8] {
    let sink = MemorySink()
    _ = try Diffs.reencode(diff, into: sink, values: values, profile: profile)
    return sink.bytes
  }

  @Test("other encodings hold the same changes", arguments: 1...20)
  func encodings(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let contents = Contents.random(&random)
    let diff = try DiffReader(bytes: contents.encoded())
    let fast = try DiffReader(bytes: reencoded(diff, nil, .speed))
    #expect(try fast.contents() == contents, "seed \(seed)")
    #expect(try reencoded(fast) == contents.encoded(), "seed \(seed)")
  }

  @Test("values of other types")
  func types() throws {
    var random = SplitMix64(seed: 6)
    let diff = try MergeTests.random(&random, density: 0.1)
    // float32 holds what float16 does: there and back is the same.
    let wide = try DiffReader(bytes: reencoded(diff, .f32))
    let sink = MemorySink()
    #expect(try Diffs.reencode(wide, into: sink, values: .f16) == 0)
    for (name, shape) in MergeTests.shapes {
      let count = Int(shape.reduce(1, *))
      let dense = try diff.dense(name, count: count)
      #expect(try wide.dense(name, count: count) == dense)
      #expect(try DiffReader(bytes: sink.bytes).dense(name, count: count) == dense)
    }
    let third = Double(Float(1) / 3)
    let fine = try additiveDiff([("t", [2], [third, 1e5])], values: .f32)
    let rounded = MemorySink()
    #expect(try Diffs.reencode(fine, into: rounded, values: .f16) == 2)
  }
}
