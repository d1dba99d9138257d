import Platform

/// SHA-256 (FIPS 180-4).
package enum SHA256 {
  private static let constants: [UInt32] = primes(64).map { fraction(cbrt(Double($0))) }
  private static let start: [UInt32] = primes(8).map { fraction(Double($0).squareRoot()) }

  /// The 32 bytes of the hash.
  package static func hash(_ bytes: [UInt8]) -> [UInt8] {
    var state = start
    var padded = bytes + [0x80]
    padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
    let bits = UInt64(bytes.count) * 8
    padded += (0..<8).map { UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * $0)) }
    var words = [UInt32](repeating: 0, count: 64)
    for block in stride(from: 0, to: padded.count, by: 64) {
      for index in 0..<16 {
        words[index] = (0..<4).reduce(0) { $0 << 8 | UInt32(padded[block + 4 * index + $1]) }
      }
      compress(&state, &words)
    }
    return state.flatMap { word in
      (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * $0)) }
    }
  }

  private static func compress(_ state: inout [UInt32], _ words: inout [UInt32]) {
    func turned(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }
    for index in 16..<64 {
      let (x, y) = (words[index - 15], words[index - 2])
      let low = turned(x, 7) ^ turned(x, 18) ^ x >> 3
      let high = turned(y, 17) ^ turned(y, 19) ^ y >> 10
      words[index] = words[index - 16] &+ low &+ words[index - 7] &+ high
    }
    var (a, b, c, d) = (state[0], state[1], state[2], state[3])
    var (e, f, g, h) = (state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let chosen = e & f ^ ~e & g
      let mixed = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)
      let first = h &+ mixed &+ chosen &+ constants[index] &+ words[index]
      let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ (a & b ^ a & c ^ b & c)
      (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
    }
    for (index, word) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= word }
  }

  /// HMAC (RFC 2104) with this hash.
  package static func authentication(_ message: String, key: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? hash(key) : key
    let block = short + [UInt8](repeating: 0, count: 64 - short.count)
    return hash(block.map { $0 ^ 0x5C } + hash(block.map { $0 ^ 0x36 } + Array(message.utf8)))
  }

  // MARK: Constants: the first 32 bits of the fractions of roots of primes

  private static func primes(_ count: Int) -> [Int] {
    Array((2...311).lazy.filter { n in !(2..<n).contains { n % $0 == 0 } }.prefix(count))
  }

  private static func fraction(_ value: Double) -> UInt32 {
    // A double has bits enough: 5 before the point at most, 32 behind it.
    UInt32((value - value.rounded(.down)) * 0x1p32)
  }
}

extension [UInt8] {
  /// Two digits a byte.
  package var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
