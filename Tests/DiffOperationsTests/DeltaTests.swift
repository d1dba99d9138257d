import Checkpoints
import Compression
import DiffFormat
import DiffOperations
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Deltas of other tools: delta_oracle.py has made some by Fireworks' package and slime's encoder.
@Suite struct DeltaTests {
  private static let folder = Repository.path + "/Tests/DiffOperationsTests/Resources/deltas/"

  private static func open(_ name: String) throws -> any Checkpoint {
    try CheckpointFile.open(folder + name)
  }

  private func imported(_ path: String, on base: any Checkpoint) throws -> DiffReader {
    let sink = MemorySink()
    _ = try Diffs.import(try PublishedDelta(path), on: base, into: sink)
    return try DiffReader(bytes: sink.bytes)
  }

  /// Whether two diffs hold the same entries.
  private func same(_ one: DiffReader, _ other: DiffReader) throws -> Bool {
    Contents(try one.contents().tensors) == Contents(try other.contents().tensors)
  }

  private func prints(_ checkpoint: any Checkpoint) throws -> [TensorName: Fingerprint] {
    var prints: [TensorName: Fingerprint] = [:]
    for tensor in checkpoint.tensors {
      prints[tensor.name] = try checkpoint.fingerprint(of: tensor)
    }
    return prints
  }

  static let published: [(path: String, format: DeltaFormat, checksum: DeltaChecksum)] = [
    ("xor-xxh3-128/weight_v000001", .deltaXor, .xxh3),
    ("xor-adler32/weight_v000001", .deltaXor, .adler32),
    ("overwrite-xxh3-128/weight_v000001", .deltaOverwrite, .xxh3),
    ("arc_v1", .arcV1, .adler32), ("arc_v2", .arcV2, .adler32),
  ]

  @Test("deltas of other tools give their results, bit for bit", arguments: published.indices)
  func reading(_ number: Int) throws {
    let (path, format, checksum) = Self.published[number]
    #expect(PublishedDelta.isDelta(Self.folder + path))
    let delta = try PublishedDelta(Self.folder + path)
    #expect(delta.format == format)
    #expect(delta.checksum == checksum)
    #expect(delta.version == (format.isVersioned ? "1" : nil))
    #expect(delta.baseVersion == (format.isVersioned ? "0" : nil))
    let (base, tuned) = (try Self.open("base"), try Self.open("tuned"))
    let diff = try imported(Self.folder + path, on: base)
    let right = try DiffReader(bytes: diffBytes(base, tuned))
    #expect(try same(diff, right))
    #expect(diff.checkpoints != nil && diff.checkpoints == right.checkpoints)
    #expect(try prints(try TunedCheckpoint(base, [diff])) == prints(tuned))
  }

  @Test("a version in which nothing changes is a diff without entries")
  func unchanged() throws {
    let diff = try imported(
      Self.folder + "unchanged/weight_v000001", on: try Self.open("base"))
    #expect(diff.isEmpty)
    #expect(diff.metadata == ["delta_version": "1", "delta_base_version": "0"])
  }

  @Test("checkpoints are not deltas", arguments: ["base", "tuned", "nothing"])
  func checkpoints(_ name: String) throws {
    #expect(!PublishedDelta.isDelta(Self.folder + name))
    #expect(throws: DiffError.self) { try PublishedDelta(Self.folder + name) }
  }

  @Test("a delta is no checkpoint", arguments: published.indices)
  func noCheckpoint(_ number: Int) throws {
    let error = #expect(throws: DiffError.self) { try Self.open(Self.published[number].path) }
    #expect(error?.code == .notACheckpoint)
    #expect(error?.message.contains("a delta of another tool") == true)
  }

  @Test("slime's delta of a tied output layer is that of the embedding")
  func tiedByTool() throws {
    let (base, tuned) = (try Self.open("base"), try Self.open("tuned"))
    let diff = try imported(Self.folder + "tied/weight_v000001", on: base)
    #expect(diff.map(\.name) == ["model.embed.weight"])
    let made = try TunedCheckpoint(base, [diff])
    #expect(
      try prints(made)["model.embed.weight"] == prints(tuned)["model.embed.weight"])
  }

  @Test("of tied tensors the base stores one: equal payloads count once, others are refused")
  func tied() throws {
    try Scratch.with { scratch in
      let base = scratch("base.safetensors")
      let rows: [(TensorName, ElementType, Shape)] = [
        ("a.w", .u8, Shape(vector: 100)), ("b", .u8, Shape(vector: 10)),
      ]
      try CheckpointFile.make(at: base, .safetensors, rows).output.commit()
      let new = [UInt8](repeating: 7, count: 100)
      let checksum = XXH3.hash128(new.span).description
      var number = 0
      func made(_ other: TensorName, _ payload: [UInt8]) throws -> String {
        number += 1
        let path = scratch("weight_v\(number)")
        try writeVersion(
          path, "xor", [("a.w", compressed(new)), (other, payload)], checksum: checksum)
        return path
      }
      let checkpoint = try CheckpointFile.open(base)
      // Another name, which the base lacks, and the same name with another separator.
      for other in ["z.head", "a/w"] as [TensorName] {
        let diff = try imported(made(other, compressed(new)), on: checkpoint)
        #expect(diff.map(\.name) == ["a.w"])
        let made = try made(other, compressed([UInt8](repeating: 8, count: 100)))
        let error = #expect(throws: DiffError.self) { try imported(made, on: checkpoint) }
        #expect(error?.code == .mismatch)
        #expect(error?.tensor == other)
      }
    }
  }

  @Test("unsupported formats are refused by name")
  func unsupported() throws {
    for (path, word) in [("arc_v3.safetensors", "arc_v3"), ("xor-blake3/weight_v000001", "blake3")]
    {
      let error = #expect(throws: DiffError.self) { try PublishedDelta(Self.folder + path) }
      #expect(error?.code == .unsupported)
      #expect(error?.message.contains(word) == true)
    }
  }

  @Test("a wrong base is detected by the checksum", arguments: published.indices)
  func wrongBase(_ number: Int) throws {
    let (path, format, _) = Self.published[number]
    let tuned = try Self.open("tuned")
    if format == .deltaOverwrite {
      // The new bytes are there already: nothing changes.
      #expect(try imported(Self.folder + path, on: tuned).isEmpty)
    } else {
      let done = #expect(throws: DiffError.self) { try imported(Self.folder + path, on: tuned) }
      #expect(done?.code == .wrongBase)
      #expect(done?.message.contains("already") == true)
    }
    try Scratch.with { scratch in
      let other = scratch("other.safetensors")
      let base = try Self.open("base")
      let rows = base.tensors.map { ($0.name, $0.type, $0.shape) }
      // All zeros.
      try CheckpointFile.make(at: other, .safetensors, rows).output.commit()
      let error = #expect(throws: DiffError.self) {
        try imported(Self.folder + path, on: try CheckpointFile.open(other))
      }
      #expect(error?.code == .wrongBase)
      #expect(error?.path == other)
      let few = scratch("few.safetensors")
      try CheckpointFile.make(
        at: few, .safetensors, rows.filter { $0.0 != "model.scale" }
      ).output.commit()
      let missing = #expect(throws: DiffError.self) {
        try imported(Self.folder + path, on: try CheckpointFile.open(few))
      }
      #expect(missing?.code == .mismatch)
      #expect(missing?.tensor == "model.scale")
    }
  }

  // MARK: Writing

  @Test(
    "what is written is read again; exact and added changes", arguments: DeltaFormat.allCases)
  func roundTrip(_ format: DeltaFormat) throws {
    let (base, tuned) = (try Self.open("base"), try Self.open("tuned"))
    try Scratch.with { scratch in
      for checksum in DeltaChecksum.allCases {
        var options = DeltaOptions()
        options.checksum = checksum
        for (number, mode) in [CreateMode.xor, .replace].enumerated() {
          let made = try diff(base, tuned, mode)
          try makeFolder(scratch("\(checksum)\(number)"))
          let path = scratch("\(checksum)\(number)/weight_v000002")
          _ = try Diffs.export(made, on: base, to: path, format, options)
          let delta = try PublishedDelta(path)
          #expect(delta.format == format)
          #expect(delta.version == (format.isVersioned ? "2" : nil))
          #expect(delta.checksum == (format.isVersioned ? checksum : .adler32))
          #expect(try same(try imported(path, on: base), diff(base, tuned)))
        }
      }
    }
  }

  @Test("a delta of many blocks, of an additive diff", arguments: DeltaFormat.allCases)
  func large(_ format: DeltaFormat) throws {
    var random = SplitMix64(seed: TestSeed.value &+ 5)
    try Scratch.with { scratch in
      let (base, tuned) = (scratch("base.safetensors"), scratch("tuned.safetensors"))
      let count = 1_700_000
      var floats = (0..<count).map { _ in Float.random(in: -1...1, using: &random) }
      func write(_ path: String) throws {
        let (output, stored) = try CheckpointFile.make(
          at: path, .safetensors, [("w", .f32, Shape(vector: UInt64(count)))])
        try output.write(floats.littleEndianBits.span, to: stored[0], at: 0)
        try output.commit()
      }
      try write(base)
      for _ in 0..<9000 { floats[Int.random(in: 0..<count, using: &random)] += 0.25 }
      try write(tuned)
      let checkpoint = try CheckpointFile.open(base)
      let added = try diff(
        checkpoint, try CheckpointFile.open(tuned), .add(.all, values: .f32))
      let path = scratch("weight_v000001")
      _ = try Diffs.export(added, on: checkpoint, to: path, format)
      let again = try imported(path, on: checkpoint)
      let made = try TunedCheckpoint(checkpoint, [added])
      #expect(try prints(try TunedCheckpoint(checkpoint, [again])) == prints(made))
    }
  }

  @Test("changes that no delta can represent are refused, and leave nothing")
  func refusals() throws {
    let (base, tuned) = (try Self.open("base"), try Self.open("tuned"))
    let made = try diff(base, tuned)
    try Scratch.with { scratch in
      func refusal(
        _ diff: DiffReader, on checkpoint: any Checkpoint, _ name: String,
        _ format: DeltaFormat = .deltaXor
      ) throws -> DiffError? {
        let error = #expect(throws: DiffError.self) {
          try Diffs.export(diff, on: checkpoint, to: scratch(name), format)
        }
        #expect(try scratch.names.isEmpty)
        return error
      }
      #expect(try refusal(made, on: base, "step-7")?.code == .usage)
      #expect(try refusal(made, on: base, "weight_v000000")?.code == .usage)
      #expect(try refusal(made, on: tuned, "weight_v000001")?.code == .wrongBase)
      #expect(try refusal(made, on: tuned, "arc", .arcV2)?.code == .wrongBase)
      let hdf5 = try CheckpointFile.open(Repository.base)
      #expect(try refusal(made, on: hdf5, "weight_v000001")?.code == .unsupported)
    }
    try Scratch.with { scratch in
      let few = scratch("few.safetensors")
      let rows = base.tensors.map { ($0.name, $0.type, $0.shape) }.filter { $0.0 != "model.scale" }
      try CheckpointFile.make(at: few, .safetensors, rows).output.commit()
      let deleting = try diff(base, try CheckpointFile.open(few))
      let error = #expect(throws: DiffError.self) {
        try Diffs.export(deleting, on: base, to: scratch("weight_v000001"), .deltaXor)
      }
      #expect(error?.code == .unsupported)
      #expect(error?.remedy == .leaveOut)
    }
  }

  // MARK: Hostile files

  @Test("a damaged delta is refused or gives its result", arguments: published.indices)
  func damage(_ number: Int) throws {
    let path = Self.folder + Self.published[number].path
    let base = try Self.open("base")
    let right = try prints(try Self.open("tuned"))
    var random = SplitMix64(seed: TestSeed.value &+ UInt64(number))
    let names = try Folder.names(path).filter { $0 != "config.json" }
    for round in 0..<400 {
      try Scratch.with { scratch in
        let copy = scratch("weight_v000001")
        try makeFolder(copy)
        let target = names[round % names.count]
        for name in names {
          var bytes = try contents(ofFile: "\(path)/\(name)")
          if name == target {
            if round % 5 == 0 {
              bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
            } else {
              bytes[Int.random(in: 0..<bytes.count, using: &random)] ^= UInt8(
                1 << (random.next() % 8))
            }
          }
          try write(bytes, toFile: "\(copy)/\(name)")
        }
        guard let diff = try? imported(copy, on: base) else { return }
        #expect(try prints(try TunedCheckpoint(base, [diff])) == right, "round \(round)")
      }
    }
  }

  /// Writes a folder of a version of one tensor.
  private func writeVersion(
    _ path: String, _ encoding: String, payload: [UInt8], file: String = "m.safetensors",
    version: String = "\"000001\""
  ) throws {
    try writeVersion(
      path, encoding, [("w", payload)], checksum: "0", file: file, version: version)
  }

  /// Writes a folder of a version of tensors with one checksum.
  private func writeVersion(
    _ path: String, _ encoding: String, _ payloads: [(name: TensorName, bytes: [UInt8])],
    checksum: String, file: String = "m.safetensors", version: String = "\"000001\""
  ) throws {
    try makeFolder(path)
    let output = try SafeTensorsPayloads(
      path + "/m.safetensors", payloads.map(\.name), valueLength: 32, overwriting: false)
    for (name, bytes) in payloads {
      try output.append(bytes.span)
      output.end(name, value: checksum)
    }
    try output.commit()
    let map = payloads.map { "\"\($0.name)\": \"\(file)\"" }.joined(separator: ", ")
    let index = """
      {"metadata": {"version": \(version), "base_version": 0, "delta_encoding": "\(encoding)",
      "compression_format": "zstd", "checksum_format": "xxh3-128"},
      "weight_map": {\(map)}}
      """
    try write(Array(index.utf8), toFile: path + "/model.safetensors.index.json")
  }

  private func compressed(_ bytes: [UInt8]) -> [UInt8] {
    ZstdCompressor(level: 1, size: UInt64(bytes.count)).compress(bytes.span, isLast: true)
  }

  @Test("inconsistent payloads are refused")
  func lies() throws {
    try Scratch.with { scratch in
      let base = scratch("base.safetensors")
      try CheckpointFile.make(at: base, .safetensors, [("w", .u8, Shape(vector: 100))]).output
        .commit()
      var number = 0
      func refusal(_ encoding: String, _ payload: [UInt8]) throws -> DiffError? {
        number += 1
        let path = scratch("weight_v\(number)")
        try writeVersion(path, encoding, payload: payload)
        return #expect(throws: DiffError.self) {
          try imported(path, on: try CheckpointFile.open(base))
        }
      }
      func overwrite(_ count: UInt32, _ positions: [UInt32], _ values: [UInt8]) -> [UInt8] {
        compressed(count.littleEndianBytes + positions.littleEndianBytes + values)
      }
      for payload in [
        overwrite(.max, [], []), overwrite(101, [], []), overwrite(1, [100], [1]),
        overwrite(2, [5, 5], [1, 1]), overwrite(2, [6, 5], [1, 1]), overwrite(2, [5], [1]),
        overwrite(1, [5], [1, 1]), [], [0x28, 0xB5, 0x2F, 0xFD],
      ] {
        #expect(try refusal("overwrite", payload)?.code == .malformed)
      }
      #expect(try refusal("xor", compressed([1, 2, 3]))?.code == .malformed)
      #expect(try refusal("overwrite", overwrite(1, [5], [1]))?.code == .wrongBase)
      #expect(try refusal("rot13", compressed([]))?.code == .unsupported)
    }
  }

  @Test("an index with paths outside the folder, or that differs from its files, is refused")
  func indices() throws {
    try Scratch.with { scratch in
      for (number, file) in ["../base.safetensors", "n.safetensors", "/etc/passwd", ""].enumerated()
      {
        let path = scratch("weight_v\(number)")
        try writeVersion(path, "xor", payload: [], file: file)
        #expect(throws: DiffError.self) { try PublishedDelta(path) }
      }
      let path = scratch("weight_v9")
      try writeVersion(path, "xor", payload: [], version: "\"seven\"")
      let error = #expect(throws: DiffError.self) { try PublishedDelta(path) }
      #expect(error?.code == .malformed)
    }
  }
}

extension [Float] {
  fileprivate var littleEndianBits: [UInt8] { map(\.bitPattern).littleEndianBytes }
}
