import StrictJSON
import TensorCore
import Testing

@Suite struct JSONTests {
  private func parse(_ text: String) throws -> JSONValue {
    try JSONValue(parsing: Array(text.utf8))
  }

  @Test(
    "texts that are JSON, and their shortest form",
    arguments: [
      ("null", "null"), (" true ", "true"), ("\n[ ]\t", "[]"), ("{ }", "{}"), ("\"\"", "\"\""),
      ("[1, -0, 2.5e-3 ,1E+2]", "[1,-0,2.5e-3,1E+2]"),
      ("{\"a\" : {\"b\":[false]}}", "{\"a\":{\"b\":[false]}}"),
      (#""\u0041\/\b\f\n\r\t\\\"""#, #""A/\u0008\u000c\n\r\t\\\"""#),
      (#""\ud83d\ude00\u00e9""#, "\"😀é\""),
      ("\"\u{7F}\u{2028}\"", "\"\u{7F}\u{2028}\""),
    ])
  func valid(text: String, compact: String) throws {
    #expect(try parse(text).compact == compact)
    #expect(try parse(compact) == parse(text))
  }

  @Test(
    "texts that are not JSON, with the offset",
    arguments: [
      ("", 0), ("nul", 0), ("[1,]", 3), ("[1 2]", 3), ("{\"a\":1,}", 7), ("{a:1}", 1),
      ("{\"a\" 1}", 5),
      ("01", 1), ("1.", 2), (".5", 0), ("+1", 0), ("1e", 2), ("-", 1), ("\"a", 2), ("\"\n\"", 1),
      (#""\x""#, 2), (#""\u12g4""#, 5), (#""\ud800""#, 7), (#""\ud800\u0041""#, 13),
      (#""\udc00""#, 7), ("[] []", 3), ("{\"a\":1,\"a\":2}", 7), ("[1", 2), ("{", 1), ("NaN", 0),
      ("'a'", 0), ("\u{FEFF}1", 0),
    ])
  func invalid(text: String, offset: UInt64) {
    let error = #expect(throws: DiffError.self) { try parse(text) }
    #expect(error?.code == .malformed)
    #expect(error?.offset == offset)
  }

  @Test("names of members are compared by bytes, and nesting is limited")
  func limits() throws {
    #expect(try parse("{\"\u{E9}\":1,\"e\u{301}\":2}").members?.count == 2)
    #expect(throws: DiffError.self) { try parse("{\"\u{E9}\":1,\"\\u00e9\":2}") }
    #expect(throws: DiffError.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    let nested = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
    #expect(throws: Never.self) { try parse(nested(128)) }
    #expect(throws: DiffError.self) { try parse(nested(129)) }
    #expect(throws: DiffError.self) { try parse(String(repeating: "[", count: 1_000_000)) }
  }

  @Test("unsigned integers are digits only")
  func numbers() throws {
    #expect(try parse("18446744073709551615").unsigned == .max)
    for text in ["18446744073709551616", "-1", "1.0", "1e3", "\"1\"", "null"] {
      #expect(try parse(text).unsigned == nil)
    }
    #expect(try parse("-1.5e2").double == -150)
  }
}
