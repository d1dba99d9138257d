import TensorCore
import Testing

@Suite struct TensorNameTests {
  private let composed: TensorName = "caf\u{E9}"
  private let decomposed: TensorName = "cafe\u{301}"

  @Test("names that look alike and differ in bytes are two names")
  func equality() {
    #expect(composed.description == decomposed.description)
    #expect(composed != decomposed)
    #expect(Set([composed, decomposed, "caf\u{E9}"]).count == 2)
    #expect(composed.key != decomposed.key)
    #expect([composed: 1, decomposed: 2][decomposed] == 2)
  }

  @Test("names are in the order of their bytes")
  func order() {
    let ascending: [TensorName] = [
      "", "\0", "A", "a", "a\0", "a.b", "a/b", "aa", "cafe\u{301}", "caf\u{E9}",
      "\u{FB01}", "\u{1F9EA}", "\u{10FFFF}",
    ]
    #expect(ascending.reversed().sorted() == ascending)
    for (index, name) in ascending.enumerated() {
      for (other, second) in ascending.enumerated() {
        #expect((name < second) == (index < other) && (name == second) == (index == other))
      }
    }
  }

  @Test("a name is printed unchanged")
  func text() {
    let layer = 3
    let name: TensorName = "layer/\(layer)"
    #expect("\(name)" == "layer/3")
    #expect(name == TensorName("layer/3"))
    #expect(Array(decomposed.utf8) == Array("cafe".utf8) + [0xCC, 0x81])
  }

  @Test("the key has one separator; without ':0' it is bare")
  func keys() {
    let name: TensorName = "a.b/c:0"
    #expect(name.key == ("a/b.c:0" as TensorName).key)
    #expect(name.key != ("a.b/c" as TensorName).key)
    #expect(name.key.bare == ("a/b/c" as TensorName).key)
    #expect(("a:00" as TensorName).key.bare == ("a:00" as TensorName).key)
    #expect((":0" as TensorName).key.bare == ("" as TensorName).key)
    #expect(("b.a" as TensorName).key < ("b/b" as TensorName).key)
  }

  @Test("components end at '/' and '.', whatever follows")
  func parts() {
    #expect(("a.b//c" as TensorName).parts == ["a", "b", "c"])
    #expect(("" as TensorName).parts.isEmpty)
    // With the separator, the accent is one character to Swift.
    #expect(
      ("a/\u{301}b" as TensorName).parts.map { Array($0.utf8) } == [[0x61], [0xCC, 0x81, 0x62]])
  }
}
