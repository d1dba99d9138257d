import TensorCore

/// Returns the bytes of integers, little-endian and contiguous.
package func littleEndian<Integer: FixedWidthInteger>(_ values: [Integer]) -> [UInt8] {
  let width = Integer.bitWidth / 8
  var bytes = [UInt8](repeating: 0, count: values.count * width)
  for (i, value) in values.enumerated() {
    for byte in 0..<width {
      bytes[i * width + byte] = UInt8(truncatingIfNeeded: value >> (byte * 8))
    }
  }
  return bytes
}

package func littleEndian(_ values: [Float]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

package func littleEndian(_ values: [Double]) -> [UInt8] { littleEndian(values.map(\.bitPattern)) }

/// Returns the integers that bytes hold.
package func integers<Integer: FixedWidthInteger>(
  _ type: Integer.Type = Integer.self, _ bytes: [UInt8]
) -> [Integer] {
  let width = Integer.bitWidth / 8
  return stride(from: 0, to: bytes.count, by: width).map { start in
    (0..<width).reduce(0) { $0 | Integer(truncatingIfNeeded: bytes[start + $1]) << ($1 * 8) }
  }
}

package func floats(_ bytes: [UInt8]) -> [Float] {
  integers(UInt32.self, bytes).map(Float.init(bitPattern:))
}

package func doubles(_ bytes: [UInt8]) -> [Double] {
  integers(UInt64.self, bytes).map(Double.init(bitPattern:))
}
