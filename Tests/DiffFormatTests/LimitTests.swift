import DiffFormat
import TensorCore
import Testing
import TestSupport

/// The cost of a file depends on its contents, not on its claims.
@Suite(.serialized) struct LimitTests {
  @Test(
    "a diff of 100 000 tensors is opened in five reads, and any tensor found without one",
    // Work that grows with the square of their number would take much longer.
    .timeLimit(.minutes(1)))
  func manyTensors() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink, profile: .speed)
    let print = Fingerprint(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
    let matrix = shape(512, 512)
    let changes = Changes([1, 70, 300], [1, 2, 3, 4, 5, 6])
    for number in 0..<100_000 {
      let name: TensorName = "model.layers.\(1_000_000 + number).self_attn.q_proj.weight"
      try writer.begin(DiffEntry(name, .xor, .bf16, matrix, base: print, result: print, old: print))
      try writer.append(changes, width: 2)
      try writer.end()
    }
    try writer.finish()
    let bytes = sink.bytes
    let source = CountingSource(bytes)
    let reader = try DiffReader(source)
    #expect(reader.count == 100_000)
    let reads = source.takeReads()
    #expect(reads.count <= 5)
    #expect(reads.reduce(0) { $0 + $1.count } <= bytes.count)
    for number in 0..<100_000 {
      let name: TensorName = "model.layers.\(1_000_000 + number).self_attn.q_proj.weight"
      #expect(reader.entry(named: name)?.count == 3)
    }
    #expect(source.takeReads() == [])
  }

  @Test(
    "huge claims of a tiny file are refused before anything is allocated for them",
    arguments: [
      "metadata.count", "metadata.0.key.length", "metadata.0.value.length", "entries.count",
      "0.name.length", "0.rank", "0.extent.0", "0.changes.count", "0.changes.0.skip",
      "0.changes.0.span", "0.changes.0.count", "0.changes.0.size", "extensions.count",
    ])
  func claims(field: String) throws {
    let contents = Contents(
      metadata: ["a": "b"],
      [.init(DiffEntry("w", .xor, .u8, shape(100)), Changes([4, 9], [1, 2]))])
    let image = DiffImage(try contents.encoded())
    let memory = peakAddressSpace()
    for claim in [1 << 24, 1 << 28, 1 << 32, 1 << 40, 1 << 59, 1 << 62, .max] as [UInt64] {
      var image = image
      image[field] = varint(claim)
      let bytes = image.bytes
      // Any shape is allowed: it allocates nothing.
      if field == "0.extent.0", claim < 1 << 60 { continue }
      let error = #expect(throws: DiffError.self) { try DiffReader(bytes: bytes).verify() }
      #expect(error?.code == .malformed || error?.code == .limit, "\(claim)")
      #expect(error?.offset.map { $0 >= image.indexOffset } == true, "\(claim)")
    }
    expectNoLargeAllocation(since: memory)
  }

  @Test("a hostile page takes no more memory than a page")
  func hostilePage() throws {
    // A million columns and rows, hot lines claimed, inflated sizes claimed.
    let bed = Bed(shape(1 << 20, 1 << 11), [0, (1 << 31) - 1])
    let memory = peakAddressSpace()
    for text in [
      "21 0A FF FF FF FF 0F 00 00 00 00 00 01 07", "02 05 00 02 FF FF FF FF 7F",
      "01 07 1F 00 00 00 00 00 01 02 FF FF FF FF 0F",
    ] {
      let error = #expect(throws: DiffError.self) {
        try DiffReader(bytes: bed.file(text)).verify()
      }
      #expect(error?.code == .malformed)
    }
    expectNoLargeAllocation(since: memory)
  }

  @Test("metadata of more than 2^24 bytes is refused on both sides")
  func metadataSize() throws {
    let half = String(repeating: "x", count: 1 << 23)
    let writer = try DiffWriter(MemorySink(), metadata: ["a": half, "b": half])
    #expect(#expect(throws: DiffError.self) { try writer.finish() }?.code == .limit)

    var image = DiffImage(try Contents(metadata: ["a": "1", "b": "2"], []).encoded())
    let value = [UInt8](repeating: 0x78, count: (1 << 24) - 12)
    image["metadata.0.value.length"] = varint(UInt64(value.count))
    image["metadata.0.value"] = value
    // 1 + 2 + 4 + value + 2 + 1 + 1 = 2^24 − 1: one byte below the limit.
    image["metadata.1.value.length"] = [2]
    image["metadata.1.value"] = [0x78, 0x78]
    #expect(try DiffReader(bytes: image.bytes).metadata["b"] == "xx")
    image["metadata.1.value.length"] = [3]
    image["metadata.1.value"] = [0x78, 0x78, 0x78]
    let error = #expect(throws: DiffError.self) { try DiffReader(bytes: image.bytes) }
    #expect(error?.code == .limit)
    #expect(error?.offset == image.offset(of: "entries.count"))
  }

  /// 2^28 counts of eight bytes would be seen. (Not less: each thread of other tests may take
  /// 128 MB of addresses for its heap.)
  private func expectNoLargeAllocation(since before: Int?) {
    guard let before, let now = peakAddressSpace() else { return }
    #expect(now - before < 1 << 31)
  }
}
