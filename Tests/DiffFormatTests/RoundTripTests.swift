import DiffFormat
import TensorCore
import Testing
import TestSupport

/// Written contents are read back, and equal contents give equal bytes regardless of the calls.
@Suite struct RoundTripTests {
  /// Encodes with one call size and another, twice; decodes.
  private func check(_ contents: Contents, step: Int, _ seed: Int) throws {
    for profile in EncodingProfile.allCases {
      let bytes = try contents.encoded(profile: profile)
      #expect(
        try contents.encoded(profile: profile, step: step) == bytes,
        "seed \(seed), \(profile): calls of \(step) changes give another file")
      #expect(
        try contents.encoded(profile: profile) == bytes, "seed \(seed), \(profile): not repeatable")
      let reader = try DiffReader(bytes: bytes)
      #expect(try reader.contents() == contents, "seed \(seed), \(profile)")
      #expect(
        reader.map(\.count)
          == contents.tensors.map {
            $0.streams.values.reduce(0) { $0 + UInt64($1.positions.count) }
          })
    }
  }

  @Test("one tensor of random contents is read back", arguments: 0..<200)
  func tensor(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    let clustering = Clustering.allCases[seed % Clustering.allCases.count]
    let columns = Int.random(in: 1...700, using: &random)
    let rows = Int.random(in: 1...(seed % 7 == 0 ? 3000 : 120), using: &random)
    let densities = [0.0005, 0.005, 0.05, 0.3, 0.9, 1]
    let density = densities[Int.random(in: densities.indices, using: &random)]
    let type = ElementType.allCases[seed % ElementType.allCases.count]
    let positions = positions(clustering, rows: rows, columns: columns, density: density, &random)
    var operations = [DiffOperation.xor, .replace]
    if type.float != nil { operations.append(.add(values: .bf16, scale: seed % 100 - 50)) }
    let entry = DiffEntry(
      "w", operations[seed % operations.count], type,
      shape(UInt64(rows), UInt64(columns * type.unit), of: type))
    let width = entry.valueWidth
    var values = random.bytes(positions.count * width)
    if seed % 3 == 0 { for i in values.indices where i % width != 0 { values[i] = 7 } }
    if seed % 5 == 0 { for i in values.indices { values[i] &= 3 } }
    let step = positions.count < 5000 ? Int.random(in: 1...20, using: &random) : 997
    try check(Contents([.init(entry, Changes(positions, values))]), step: step, seed)
  }

  @Test("a diff of random entries, of every operation, is read back", arguments: 0..<200)
  func diff(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 1000)
    let contents = Contents.random(&random)
    try check(contents, step: Int.random(in: 1...300, using: &random), seed)
  }

  @Test("a diff with replaced metadata equals one that was encoded with them", arguments: 0..<40)
  func otherMetadata(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 2000)
    var contents = Contents.random(&random)
    let diff = try DiffReader(bytes: contents.encoded())
    contents.metadata["score.accuracy"] = "0.5"
    let sink = MemorySink()
    try diff.write(into: sink, metadata: contents.metadata)
    #expect(try sink.bytes == contents.encoded(), "seed \(seed)")
  }

  /// From two bytes to all, in numbers that fall slowly, fast, and like Fibonacci's, for which
  /// Huffman's tree is deeper than deflate allows.
  @Test("bytes of any histogram are read back from a deflated plane", arguments: 0..<60)
  func histograms(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 3000)
    let kinds = [2, 3, 5, 19, 22, 64, 200, 256][seed % 8]
    var values: [UInt8] = []
    var (last, next) = (1, 1)
    for kind in 0..<kinds where values.count < 32_768 {
      let count = [1 + 2000 / (kind + 1), 1 + 20_000 >> kind, last][seed % 3]
      (last, next) = (next, min(last + next, 1 << 20))
      values += [UInt8](repeating: UInt8(kind), count: min(count, 32_768 - values.count))
    }
    values.shuffle(using: &random)
    let positions = values.indices.map { UInt64($0) * 3 }
    let entry = DiffEntry("w", .replace, .u8, shape(UInt64(values.count) * 3))
    try check(Contents([.init(entry, Changes(positions, values))]), step: 4001, seed)
    let bytes = try Contents([.init(entry, Changes(positions, values))]).encoded()
    let codings = try planeCodings(bytes)
    #expect(codings == (kinds < 200 && values.count > 200 ? [.deflate] : codings), "seed \(seed)")
  }

  @Test("more pages than cores are encoded in order", arguments: 0..<6)
  func manyPages(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed) + 2000)
    let count =
      32_768 * Int.random(in: 8...20, using: &random) + Int.random(in: 0...2, using: &random)
    let values = (0..<count).map { _ in UInt8(random.next() % 5) }
    let whole = DiffEntry("a", .insert, .u8, shape(UInt64(count)))
    let positions = (0..<UInt64(count)).map { $0 * 3 + $0 % 2 }
    let sparse = DiffEntry("b", .xor, .u8, shape(1000, UInt64(count)))
    try check(
      Contents([
        .init(whole, Changes(whole: values, width: 1)), .init(sparse, Changes(positions, values)),
      ]), step: 50_001, seed)
  }

  @Test("the page before a gap of 2^32 ends there, whatever the size of calls")
  func wide() throws {
    for gap in [(1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 40] as [UInt64] {
      let positions: [UInt64] = [7, 8, 7 + gap, 7 + 2 * gap, (1 << 42) - 1]
      let entry = DiffEntry("w", .replace, .u8, shape(1 << 42))
      try check(Contents([.init(entry, Changes(positions, [1, 2, 3, 4, 5]))]), step: 1, Int(gap))
    }
  }

  @Test("metadata may be changed until the end")
  func lateMetadata() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink, metadata: ["task": "before"])
    writer.metadata["task"] = "after"
    writer.metadata["empty"] = ""
    try writer.finish()
    #expect(try DiffReader(bytes: sink.bytes).metadata == ["task": "after", "empty": ""])
  }

  @Test("the identity depends on the contents")
  func identity() throws {
    var identities: Set<Fingerprint> = []
    for value in 0..<4 as Range<UInt8> {
      let contents = Contents([.init(DiffEntry("w", .xor, .u8, shape(9)), Changes([4], [value]))])
      identities.insert(try DiffReader(bytes: contents.encoded()).identity)
      #expect(try identities.contains(DiffReader(bytes: contents.encoded()).identity))
    }
    #expect(identities.count == 4)
  }

  @Test("fingerprints given at the end are stored")
  func lateFingerprints() throws {
    let (early, late) = (Fingerprint(high: 1, low: 2), Fingerprint(high: 3, low: 4))
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    try writer.begin(DiffEntry("w", .xor, .u8, shape(9), base: early, result: early))
    try writer.end(result: late, old: late)
    try writer.finish()
    let entry = try #require(DiffReader(bytes: sink.bytes).first)
    #expect((entry.base, entry.result, entry.old) == (early, late, late))
  }
}
