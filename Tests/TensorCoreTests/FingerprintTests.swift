import TensorCore
import Testing

@Suite struct FingerprintTests {
  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8($0 % 251) } }

  private func text(_ fingerprint: Fingerprint) -> String {
    fingerprint.bytes.map { byte in
      let digits = String(byte, radix: 16)
      return byte < 16 ? "0" + digits : digits
    }.joined()
  }

  @Test(
    "XXH3 has the check values of the specification",
    arguments: [
      (0, 0x2d06_8005_38d3_94c2 as UInt64, "7f498d4624c30160d8984701d306aa99"),
      (3, 0x5f42_99fc_161c_9cbb, "bb9c1c16fc99425fcf175a94575fb5e3"),
      (8, 0x3a1c_2d7c_85af_88f8, "c198bbc8610cd5cfe47f21622a43e4e1"),
      (16, 0x8355_e3a6_f617_70db, "e2ca0d87cc122884e207768231069572"),
      (128, 0x85c6_174c_7ff4_c46b, "417bd6640b1a32056cdc88afc32f7914"),
      (240, 0x375a_384d_957f_e865, "b6bb836fe1682bc9e74055da86beb565"),
      (241, 0x02e8_cd95_421c_6d02, "026d1c4295cde802a1a2b8bc61cba11d"),
      (1025, 0xe95c_4228_8f28_186e, "6e18288f28425ce95c91ec04caeb8228"),
      (1_048_576, 0x6e0d_7ac3_6b8c_10ff, "ff108c6bc37a0d6ebaab8c09988d7353"),
    ])
  func hashes(count: Int, h64: UInt64, h128: String) {
    let data = bytes(count)
    #expect(XXH3.hash64(data.span) == h64)
    #expect(text(XXH3.hash128(data.span)) == h128)
    for pieces in [1, 7, 64, 1000] {
      var stream = XXH3Stream()
      var at = 0
      while at < count {
        let end = min(count, at + max(1, count / pieces))
        stream.update(data.span.extracting(at..<end))
        at = end
      }
      #expect(text(stream.digest) == h128)
    }
  }

  @Test(
    "fingerprints have the check values of the specification",
    arguments: [
      (ElementType.u8, [4, 5] as [UInt64], 20, "c931c0bb437af0fadb8c4e80e8ccfad9"),
      (.f32, [0], 0, "6ec49fa56782cd579918691b2e1e09a7"),
      (.u8, [1_572_864], 1_572_864, "68cde733508be7e0d7787bf47a0a544d"),
      (.bits24, [524_288], 1_572_864, "dcfaed498f0c5a21b87bb8ab841caf40"),
      (.f4, [4, 10], 20, "115ccea2725492864f74a05a6513fb1f"),
      (.f6e2m3, [2_097_152], 1_572_864, "a7e1797276f0027c82f2d99afe249565"),
    ])
  func fingerprints(type: ElementType, extents: [UInt64], count: Int, expected: String) throws {
    let shape = try #require(Shape(extents, of: type))
    #expect(text(.of(type, shape, bytes(count).span)) == expected)
  }

  @Test("the fingerprint depends on type, shape and every byte")
  func sensitivity() throws {
    let data = bytes(12)
    let shape = try #require(Shape([3, 2]))
    var seen: Set<Fingerprint> = [.of(.u16, shape, data.span)]
    #expect(seen.insert(.of(.bf16, shape, data.span)).inserted)
    #expect(try seen.insert(.of(.u16, #require(Shape([2, 3])), data.span)).inserted)
    #expect(try seen.insert(.of(.u16, #require(Shape([6])), data.span)).inserted)
    for i in data.indices {
      var other = data
      other[i] ^= 1
      #expect(seen.insert(.of(.u16, shape, other.span)).inserted)
    }
  }

  @Test("fingerprints of whole checkpoints have the check values of the specification")
  func checkpoints() throws {
    #expect(
      Fingerprint.ofCheckpoint([])?.description == "2c0a8a99dc147d5445c3b49d035665b2")
    let a = Fingerprint.of(.u8, try #require(Shape([4, 5])), bytes(20).span)
    let b = Fingerprint.of(.f32, Shape(vector: 0), [UInt8]().span)
    for names in [("dense.kernel:0", "a"), ("dense/kernel", "a:0")] as [(TensorName, TensorName)] {
      for tensors in [[(names.0, b), (names.1, a)], [(names.1, a), (names.0, b)]] {
        let found = Fingerprint.ofCheckpoint(tensors.map { (name: $0.0, fingerprint: $0.1) })
        #expect(found?.description == "335bac4b442180f90764c3e3f4f66412")
      }
    }
    let twice: [(name: TensorName, fingerprint: Fingerprint)] = [("a.b", a), ("a/b:0", b)]
    #expect(Fingerprint.ofCheckpoint(twice) == nil)
  }

  @Test("its text is parsed, and no other")
  func parsing() {
    let fingerprint = Fingerprint(high: 0xAB, low: 0xC)
    #expect(Fingerprint(fingerprint.description) == fingerprint)
    for text in ["", "0", String(repeating: "g", count: 32), String(repeating: "A", count: 32)] {
      #expect(Fingerprint(text) == nil)
    }
    #expect(Fingerprint("+" + String(repeating: "0", count: 31)) == nil)
  }

  @Test("as text it is 32 digits, the upper half first")
  func description() {
    #expect(Fingerprint(high: 0xAB, low: 0xC).description == "00000000000000ab000000000000000c")
  }
}
