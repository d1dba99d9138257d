import DiffOperations
import TensorCore
import Testing

@Suite struct NameSpellingTests {
  @Test("a name is spelled with one separator throughout")
  func spelling() {
    #expect(("a.b/c:0" as TensorName).key.spelled(with: UInt8(ascii: ".")) == "a.b.c:0")
    #expect(("a.b/c:0" as TensorName).key.spelled(with: UInt8(ascii: "/")) == "a/b/c:0")
  }
}
