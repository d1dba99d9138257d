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

  @Test("elements of 4 and 6 bits come in units of whole bytes, extents count elements")
  func units() throws {
    let even = try #require(Shape([3, 8], of: .f4))
    #expect(even.extents == [3, 8] && even.count == 12 && even.rowLength == 4)
    #expect(even.unitExtents == [3, 4] && even.description == "[3, 8]")
    #expect(even != Shape([3, 8]) && even.inUnits(of: .u8) == Shape([3, 8]))
    let ragged = try #require(Shape([4, 3], of: .f6e2m3))
    #expect(ragged.count == 3 && ragged.unitExtents == [3] && ragged.rowLength == 3)
    #expect(Shape([3], of: .f4) == nil && Shape([], of: .f4) == nil)
    #expect(Shape([6], of: .f6e3m2) == nil && Shape([0, 3], of: .f6e3m2)?.count == 0)
    #expect(Shape([3], of: .f32) == Shape([3]))
    for type in ElementType.allCases { #expect(type.width * 8 % type.unit == 0) }
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
