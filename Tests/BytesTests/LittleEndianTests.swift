import Bytes
import Testing

@Suite struct LittleEndianTests {
  @Test("numbers go to bytes and back, at any offset")
  func numbers() {
    var bytes: [UInt8] = [9]
    bytes.append(littleEndian: 0x0102_0304_0506_0708 as UInt64)
    bytes += (0xA1A2 as UInt16).littleEndianBytes
    bytes += ([-2, 3] as [Int32]).littleEndianBytes
    #expect(
      bytes == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0xA2, 0xA1, 0xFE, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0])
    #expect(bytes.littleEndian(at: 1) == 0x0102_0304_0506_0708 as UInt64)
    #expect(bytes.littleEndian(at: 9, as: UInt16.self) == 0xA1A2)
    #expect(bytes.littleEndian(at: 11, as: Int32.self) == -2)
  }
}
