import DiffFormat
import TensorCore
import TestSupport
import Testing

@Suite struct PlaneTests {
  @Test("a plane is deflated only where it is smaller, its size field included")
  func deflatedIfSmaller() throws {
    var deflated = 0
    for letters in [96, 128] as [UInt64] {
      for count in 100...400 as ClosedRange<Int> {
        var random = SplitMix64(seed: UInt64(count))
        let bytes = (0..<count).map { _ in UInt8(random.next() % letters) }
        let entry = DiffEntry("w", .insert, .u8, shape(UInt64(count)))
        let file = try Contents([.init(entry, Changes(whole: bytes, width: 1))]).encoded()
        let pages = try #require(try DiffReader(bytes: file).first?.pages[.changes])
        // Code, size of the positions, coding of the plane.
        let raw = UInt64(3 + count)
        let isDeflated = file[32 + 2] == PlaneCoding.deflate.rawValue
        #expect(isDeflated ? pages[0].storedSize < raw : pages[0].storedSize == raw, "\(count)")
        deflated += isDeflated ? 1 : 0
      }
    }
    #expect((100..<500).contains(deflated))
  }
}
