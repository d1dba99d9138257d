import TensorCore
import Testing

@Suite struct DiffErrorTests {
  @Test("the text has path, tensor, byte and message, those that are known")
  func parts() {
    #expect(DiffError(.io, "no").description == "no")
    let full = DiffError(.io, "no", path: "p", tensor: "t", offset: 3)
    #expect(full.description == "p: tensor 't': byte 3: no")
  }

  @Test("what is known already is not replaced")
  func places() {
    let error = DiffError(.io, "no", tensor: "t").at(path: "p", tensor: "u", offset: 1)
    #expect((error.path, error.tensor, error.offset) == ("p", "t", 1))
  }

  @Test(
    "controls, formatting and line separators are escaped",
    arguments: [
      ("\u{1B}[2J", "\\u{1b}[2J"), ("a\nb", "a\\u{a}b"), ("\r", "\\u{d}"), ("\t", "\\u{9}"),
      ("\u{0}", "\\u{0}"), ("\u{7F}", "\\u{7f}"), ("\u{9B}31m", "\\u{9b}31m"),
      ("\u{202E}abc", "\\u{202e}abc"), ("\u{200B}", "\\u{200b}"), ("\u{2028}", "\\u{2028}"),
      ("\u{2029}", "\\u{2029}"), ("\u{FEFF}", "\\u{feff}"), ("\r\n", "\\u{d}\\u{a}"),
    ])
  func escaping(text: String, escaped: String) {
    #expect(text.escapingControls == escaped)
    let error = DiffError(.io, text, path: text, tensor: text)
    #expect(error.description == "\(escaped): tensor '\(escaped)': \(escaped)")
  }

  @Test("other text stays as it is", arguments: ["dense/kernel:0", "Größe", "模型", "e\u{301}", "🙂"])
  func harmless(text: String) {
    #expect(text.escapingControls.utf8.elementsEqual(text.utf8))
  }
}
