import TensorCore
import Testing

@Suite struct ShapeTests {
  @Test("a scalar has one element, an extent of zero leaves none")
  func counts() throws {
    #expect(Shape.scalar.count == 1)
    #expect(Shape.scalar.rowLength == 1)
    #expect(try #require(Shape([])) == .scalar)
    #expect(try #require(Shape([3, 4, 5])).count == 60)
    #expect(try #require(Shape([3, 4, 5])).rowLength == 5)
    #expect(try #require(Shape([3, 0, 5])).count == 0)
    #expect(try #require(Shape([30522, 384])).description == "[30522, 384]")
    #expect(Shape.scalar.description == "[]")
  }

  @Test("no more than 32 dimensions")
  func rank() {
    #expect(Shape([UInt64](repeating: 1, count: 32)) != nil)
    #expect(Shape([UInt64](repeating: 1, count: 33)) == nil)
  }

  @Test("the product of the extents, zeros aside, stays below 2^60 in any order")
  func product() {
    #expect(Shape([1 << 60 - 1])?.count == 1 << 60 - 1)
    #expect(Shape([1 << 59])?.count == 1 << 59)
    #expect(Shape([1 << 60]) == nil)
    #expect(Shape([1 << 30, 1 << 30]) == nil)
    #expect(Shape([.max, .max]) == nil)
    #expect(Shape([1 << 32, 1 << 32, 1 << 32, 1 << 32]) == nil)
    #expect(Shape([1 << 40, 0, 1 << 19])?.count == 0)
    for extents: [UInt64] in [
      [0, 1 << 30, 1 << 30], [1 << 30, 0, 1 << 30], [1 << 30, 1 << 30, 0],
    ] {
      #expect(Shape(extents) == nil)
    }
  }
}
