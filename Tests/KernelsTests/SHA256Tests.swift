import Kernels
import TensorCore
import Testing

@Suite struct SHA256Tests {
  private func hash(_ bytes: [UInt8], portably: Bool, piece: Int = .max) -> String {
    var hash = SHA256(portably: portably)
    var at = 0
    while at < bytes.count {
      let end = at + min(piece, bytes.count - at)
      hash.update(bytes.span.extracting(at..<end))
      at = end
    }
    return hash.digest
  }

  @Test(
    "it has the values of FIPS 180-4", arguments: [true, false],
    [
      ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
      ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ])
  func values(portably: Bool, value: (text: String, times: Int, digest: String)) {
    let bytes = Array(String(repeating: value.text, count: value.times).utf8)
    #expect(hash(bytes, portably: portably) == value.digest)
  }

  @Test("parts and both implementations give the same hash, for every length")
  func pieces() {
    let bytes = (0..<300).map { UInt8($0 * 7 & 255) }
    for count in 0..<bytes.count {
      let part = Array(bytes[..<count])
      let whole = hash(part, portably: true)
      #expect(hash(part, portably: false) == whole)
      for piece in [1, 63, 64, 65] { #expect(hash(part, portably: false, piece: piece) == whole) }
    }
  }
}
