// Reading and writing of little-endian numbers at any offset. Inlinable, since numbers are read and
// written one by one.

extension FixedWidthInteger where Self: BitwiseCopyable {
  /// The bytes of the number.
  @inlinable package var littleEndianBytes: [UInt8] {
    unsafe Swift.withUnsafeBytes(of: littleEndian) { unsafe Array($0) }
  }
}

extension Array where Element: FixedWidthInteger & BitwiseCopyable {
  /// The bytes of all numbers.
  @inlinable package var littleEndianBytes: [UInt8] {
    unsafe map(\.littleEndian).withUnsafeBytes { unsafe Array<UInt8>($0) }
  }
}

extension Span<UInt8> {
  /// Returns the number whose bytes begin at an index.
  @inlinable
  package func littleEndian<Number: FixedWidthInteger & BitwiseCopyable>(
    at index: Int, as type: Number.Type = Number.self
  ) -> Number {
    unsafe Number(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: index, as: type))
  }
}

extension [UInt8] {
  /// Returns the number whose bytes begin at an index.
  @inlinable
  package func littleEndian<Number: FixedWidthInteger & BitwiseCopyable>(
    at index: Int, as type: Number.Type = Number.self
  ) -> Number {
    span.littleEndian(at: index, as: type)
  }

  /// Appends the bytes of a number.
  @inlinable
  package mutating func append<Number: FixedWidthInteger & BitwiseCopyable>(
    littleEndian number: Number
  ) {
    unsafe Swift.withUnsafeBytes(of: number.littleEndian) { unsafe append(contentsOf: $0) }
  }
}
