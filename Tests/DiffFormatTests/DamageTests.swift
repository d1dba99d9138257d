import DiffFormat
import TensorCore
import Testing
import TestSupport

/// Every byte is covered: lost bytes and flipped bits are detected.
@Suite(.disabled(if: VectorFolder.isRecording)) struct DamageTests {
  /// Files up to this size are damaged at every offset.
  private static let smallSize = 2000

  @Test("a truncated file is refused", arguments: VectorFolder.names("valid"))
  func cut(name: String) throws {
    let bytes = try VectorFolder.read("valid", name + ".diff")
    for length in places(in: bytes.count, name) {
      let error = refusal(of: Array(bytes[..<length]))
      #expect(error?.code == .truncated, "\(length) bytes")
      #expect(error?.offset == UInt64(length == 0 ? 0 : length), "\(length) bytes")
    }
  }

  @Test("a file with any bit flipped is refused", arguments: VectorFolder.names("valid"))
  func flipped(name: String) throws {
    var bytes = try VectorFolder.read("valid", name + ".diff")
    for place in places(in: bytes.count, name) {
      for bit in 0..<8 as Range<UInt8> {
        bytes[place] ^= 1 << bit
        let error = refusal(of: bytes)
        #expect(error != nil, "byte \(place), bit \(bit)")
        // No length was changed, so everything except the signature fails a checksum.
        if place >= 8 && place < bytes.count - 8 {
          #expect(error?.code == .checksum, "byte \(place), bit \(bit)")
        }
        bytes[place] ^= 1 << bit
      }
    }
    #expect(refusal(of: bytes) == nil)
  }

  @Test("a file with trailing bytes is refused", arguments: VectorFolder.names("valid"))
  func longer(name: String) throws {
    let bytes = try VectorFolder.read("valid", name + ".diff")
    for more in [[0], [0x89], Array(bytes.suffix(48)), bytes] {
      #expect(refusal(of: bytes + more) != nil)
    }
  }

  /// The error of opening and decoding, if there is one.
  private func refusal(of bytes: [UInt8]) -> DiffError? {
    do throws(DiffError) {
      try DiffReader(bytes: bytes).verify()
      return nil
    } catch {
      return error
    }
  }

  /// All offsets of a small file; of a large one, the ends and some between, with the name as seed.
  private func places(in count: Int, _ name: String) -> [Int] {
    guard count > Self.smallSize else { return Array(0..<count) }
    var random = SplitMix64(seed: XXH3.hash64(Array(name.utf8).span))
    return Array(0..<100) + Array(count - 100..<count)
      + (0..<300).map { _ in Int.random(in: 100..<count - 100, using: &random) }
  }
}
