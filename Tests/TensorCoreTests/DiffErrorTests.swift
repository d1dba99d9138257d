import TensorCore
import Testing

@Suite struct DiffErrorTests {
  @Test("the text has path, tensor, byte and message, if known")
  func parts() {
    #expect(DiffError(.io, "no").description == "no")
    let full = DiffError(.io, "no", path: "p", tensor: "t", offset: 3)
    #expect(full.description == "p: tensor 't': byte 3: no")
    // A message whose subject is the tensor follows its name.
    let about = DiffError(.mismatch, "is not in the base", path: "p", tensor: "t")
    #expect(about.description == "p: tensor 't' is not in the base")
    #expect(about.at(offset: 3).description == "p: tensor 't': byte 3: is not in the base")
    #expect(DiffError(.io, "is a pipe", path: "p").description == "p: is a pipe")
  }

  @Test("the remedy follows the message, in the given words")
  func remedies() {
    let error = DiffError(.exists, "exists already", path: "p", remedy: .overwrite)
    #expect(
      error.description == "p: exists already; choose another name or allow the file to be replaced"
    )
    #expect(error.line { $0.name } == "p: exists already; overwrite")
    let advised = DiffError(.unsupported, "is read-only; chmod it", remedy: .newOutput)
    #expect(advised.description == "is read-only; chmod it, or write a new file")
    var other = advised
    other.message = "no"
    #expect(other.description == "no; write a new file")
    #expect(advised.at(path: "q").remedy == .newOutput)
  }

  @Test("errors are equal if their contents and causes are")
  func causes() {
    let (one, other) = (DiffError(.io, "no", path: "a"), DiffError(.io, "no", path: "b"))
    let error = DiffError(.malformed, "broken", cause: one)
    #expect(error.cause as? DiffError == one)
    #expect(error == DiffError(.malformed, "broken", cause: one))
    #expect(error != DiffError(.malformed, "broken", cause: other))
    #expect(error != DiffError(.malformed, "broken"))
    #expect(error.at(tensor: "t").cause as? DiffError == one)
    #expect(Set([error, error.at(), DiffError(.malformed, "broken", cause: one)]).count == 1)
  }

  @Test("a known location is not replaced")
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
    let error = DiffError(.io, text, path: text, tensor: TensorName(text))
    #expect(error.description == "\(escaped): tensor '\(escaped)': \(escaped)")
  }

  @Test("other text is unchanged", arguments: ["dense/kernel:0", "Größe", "模型", "e\u{301}", "🙂"])
  func harmless(text: String) {
    #expect(text.escapingControls.utf8.elementsEqual(text.utf8))
  }
}
