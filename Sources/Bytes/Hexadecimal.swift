extension FixedWidthInteger where Self: UnsignedInteger {
  /// The hexadecimal digits with leading zeros, the most significant first.
  package var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: Self.bitWidth / 4 - digits.count) + digits
  }
}

extension [UInt8] {
  /// The hexadecimal digits, two per byte.
  package var hexadecimal: String { map(\.hexadecimal).joined() }
}
