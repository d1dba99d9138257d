extension FixedWidthInteger where Self: UnsignedInteger {
  /// All its hexadecimal digits, the most significant first.
  package var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
  }
}

extension [UInt8] {
  /// Two digits a byte.
  package var hexadecimal: String { map(\.hexadecimal).joined() }
}
