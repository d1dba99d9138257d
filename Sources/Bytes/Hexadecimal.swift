extension FixedWidthInteger where Self: UnsignedInteger {
  /// The hexadecimal digits with leading zeros, the most significant first.
  package var hexadecimal: String {
    let shifts = stride(from: Self.bitWidth - 4, through: 0, by: -4)
    let digits = shifts.map { shift in
      let digit = UInt8(truncatingIfNeeded: self >> Self(shift)) & 15
      return digit < 10 ? digit + UInt8(ascii: "0") : digit - 10 + UInt8(ascii: "a")
    }
    return String(decoding: digits, as: UTF8.self)
  }
}

extension [UInt8] {
  /// The hexadecimal digits, two per byte.
  package var hexadecimal: String { map(\.hexadecimal).joined() }
}
