import DiffOperations
import Testing

@Suite struct SpanWidthTests {
  @Test("numbers of any number of bytes are read from any offset, little-endian")
  func widths() {
    let bytes: [UInt8] = [0, 8, 7, 6, 5, 4, 3, 2, 1]
    #expect(bytes.span.littleEndian(at: 1, width: 8) == 0x0102_0304_0506_0708)
    #expect(bytes.span.littleEndian(at: 2, width: 3) == 0x05_0607)
  }
}
