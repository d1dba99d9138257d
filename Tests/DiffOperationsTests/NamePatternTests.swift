import DiffOperations
import TensorCore
import Testing

@Suite struct NamePatternTests {
  @Test(
    "a star is any text, a question mark one scalar, the rest itself",
    arguments: [
      ("encoder.layer.0.*", "encoder/layer/0/attention/query", true), ("*", "", true),
      ("*.bias", "a.b.bias", true), ("a?c", "abc", true), ("a*b*c", "aXXbYbZc", true),
      ("a.b", "a/b", true), ("é?", "éé", true), ("*?", "a", true), ("**", "", true),
      ("encoder.layer.0.*", "encoder.layer.01.x", false), ("a?c", "ac", false),
      ("*.bias", "bias", false), ("", "a", false), ("a*b", "abc", false), ("?", "", false),
    ])
  func matches(pattern: String, name: String, fits: Bool) {
    #expect(NamePattern(pattern).matches(TensorName(name)) == fits)
  }

  @Test("separators can be distinguished")
  func separators() {
    let pattern = NamePattern("a.*/c", joiningSeparators: false)
    #expect(pattern.matches("a.b/c"))
    #expect(!pattern.matches("a/b/c") && !pattern.matches("a.b.c"))
  }
}
