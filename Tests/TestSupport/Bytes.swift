/// Returns the bytes of hexadecimal digits; spaces are ignored.
package func hex(_ text: String) -> [UInt8] {
  let digits = text.utf8.filter { $0 != 0x20 && $0 != 0x0A }
  precondition(digits.count % 2 == 0, "half a byte")
  return stride(from: 0, to: digits.count, by: 2).map { i in
    guard let byte = UInt8(String(decoding: digits[i..<i + 2], as: UTF8.self), radix: 16) else {
      preconditionFailure("not hexadecimal: \(text)")
    }
    return byte
  }
}

/// Returns the hexadecimal digits of bytes.
package func hex(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Returns an unsigned LEB128 number, encoded independently of DiffFormat.
package func varint(_ value: UInt64) -> [UInt8] {
  value < 0x80
    ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
}

/// Writes numbers of any width, least significant bit first.
package struct BitWriter {
  package private(set) var bytes: [UInt8] = []
  private var used = 8

  package init() {}

  package mutating func append(_ value: UInt64, bits: Int) {
    for bit in 0..<bits {
      if used == 8 {
        bytes.append(0)
        used = 0
      }
      bytes[bytes.count - 1] |= UInt8(value >> UInt64(bit) & 1) << UInt8(used)
      used += 1
    }
  }

  /// Moves to the next byte.
  package mutating func align() { used = 8 }
}
