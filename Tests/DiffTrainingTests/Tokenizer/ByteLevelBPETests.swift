import DiffTraining
import StrictJSON
import SystemSupport
import Testing
import TestSupport

@Suite struct ByteLevelBPETests {
  private let oracle: Oracle

  init() throws { oracle = try Oracle("bpe.json") }

  private static func tokenizer(prefixed: Bool = false) throws -> ByteLevelBPE {
    try ByteLevelBPE(
      vocabulary: File.contents(of: Resource.path("bpe-vocab.json")),
      merges: File.contents(of: Resource.path("bpe-merges.txt")), addsPrefixSpace: prefixed)
  }

  @Test("every scalar is a letter, a number, a space or none of them, as for Hugging Face")
  func everyScalar() throws {
    let texts = (0..<UInt32(0x11_0000)).compactMap(Unicode.Scalar.init).map {
      "a\($0) 1\($0) \($0)"
    }
    let expected = oracle.hashes("scalars", "plain")
    #expect(expected.count == 68)
    #expect(Oracle.hashes(try Self.tokenizer(), texts, block: 16384) == expected)
  }

  @Test(
    "10 000 random texts have the ids, and without an added space the sources, of Hugging Face's",
    arguments: [false, true])
  func randomTexts(prefixed: Bool) throws {
    let texts = RandomTexts.texts(seed: 6, count: 10_000)
    let expected = oracle.hashes("random", prefixed ? "prefixed" : "plain")
    #expect(expected.count == 20)
    let tokenizer = try Self.tokenizer(prefixed: prefixed)
    #expect(Oracle.hashes(tokenizer, texts, block: 500, sources: !prefixed) == expected)
  }

  @Test("samples and pairs have the ids of Hugging Face's")
  func samples() throws {
    let tokenizer = try Self.tokenizer()
    let samples = try #require(oracle.json["samples"]?.elements)
    #expect(samples.count == 120)
    for sample in samples {
      let text = try #require(sample["text"]?.text)
      let pieces = tokenizer.pieces(of: text)
      #expect(pieces.ids == sample["ids"]?.integers, "\(text.debugDescription)")
      #expect(
        pieces.sources.flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] }
          == sample["offsets"]?.integers, "\(text.debugDescription)")
    }
    let pairs = try #require(oracle.json["pairs"]?.elements)
    #expect(pairs.count == 30)
    for pair in pairs {
      let encoding = tokenizer.encode(
        try #require(pair["first"]?.text), try #require(pair["second"]?.text),
        maxLength: Int(try #require(pair["length"]?.unsigned)))
      #expect(encoding.ids == pair["ids"]?.integers)
      #expect(encoding.typeIDs.allSatisfy { $0 == 0 })
    }
  }

  /// Expects the ids of all texts of tasks, whose files are in a folder.
  private func expectTaskTexts(in folder: String, _ name: (String) -> Bool, count: Int) throws {
    let tasks = try #require(oracle.json["tasks"]?.members).filter { name($0.name) }
    #expect(tasks.count == count)
    let tokenizer = try Self.tokenizer()
    for task in tasks {
      let texts = try Oracle.taskTexts("\(folder)/\(task.name)")
      #expect(
        Oracle.hashes(tokenizer, texts, block: texts.count) == [task.value.text], "\(task.name)")
    }
  }

  @Test("every text of the task in samples has the ids of Hugging Face's")
  func everySampleText() throws {
    let names: Set = ["sms-spam/dev.tsv", "sms-spam/train.tsv"]
    try expectTaskTexts(in: Repository.path + "/samples", names.contains, count: 2)
  }

  @Test(
    "every text of the tasks has the ids of Hugging Face's",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func everyTaskText() throws {
    try expectTaskTexts(in: Repository.shared + "/tasks", { _ in true }, count: 21)
  }

  @Test(
    "the time for a long word does not grow with its square",
    // It would be hours.
    .timeLimit(.minutes(1)))
  func longWord() throws {
    let word = String(repeating: "ab", count: 200_000)
    let pieces = try Self.tokenizer().pieces(of: word)
    #expect(pieces.ids.count > 1000)
    #expect(pieces.sources.last?.upperBound == 400_000)
  }

  @Test("files that do not match are refused")
  func refusals() throws {
    let vocabulary = try File.contents(of: Resource.path("bpe-vocab.json"))
    #expect {
      try ByteLevelBPE(vocabulary: vocabulary, merges: Array("#version: 0.2\na b c\n".utf8))
    } throws: { "\($0)".contains("line 2 of the merges") }
    #expect {
      try ByteLevelBPE(vocabulary: vocabulary, merges: Array("a ☃\n".utf8))
    } throws: { "\($0)".contains("pair 1 of the merges") }
    #expect {
      try ByteLevelBPE(vocabulary: Array("{\"a\": 1}".utf8), merges: [])
    } throws: { "\($0)".contains("lacks the token") }
    #expect {
      try ByteLevelBPE(vocabulary: Array("{\"a\": -1}".utf8), merges: [])
    } throws: { "\($0)".contains("token 'a' is not a whole number") }
    #expect { try WordPiece(vocabulary: Array("a\nb\n".utf8)) } throws: {
      "\($0)".contains("it needs the lines [CLS]")
    }
    #expect { try WordPiece(vocabulary: [0xFF]) } throws: { "\($0)".contains("UTF-8") }
  }

  @Test("a tokenizer is found by its files, and its settings are used")
  func files() throws {
    try Scratch.with { folder in
      let settings = folder("tokenizer_config.json")
      try write(
        Array("[PAD]\n[UNK]\n[CLS]\n[SEP]\nHi\nhi\né\ne\n".utf8), toFile: folder("vocab.txt"))
      #expect(try TokenizerFiles.open(folder.path).pieces(of: "Hi é").ids == [4, 6])
      try write(Array(#"{"do_lower_case": true}"#.utf8), toFile: settings)
      #expect(try TokenizerFiles.open(folder("vocab.txt")).pieces(of: "Hi é").ids == [5, 7])
      try remove(settings)
      try write(
        Array(#"{"do_lower_case": true, "strip_accents": false}"#.utf8), toFile: settings)
      #expect(try TokenizerFiles.open(folder.path).pieces(of: "Hi é").ids == [5, 6])
      #expect { try TokenizerFiles.open(folder("none")) } throws: { "\($0)".contains("none") }
      try write(Array("{}".utf8), toFile: folder("vocab.json"))
      #expect { try TokenizerFiles.open(folder("vocab.json")) } throws: {
        "\($0)".contains("merges.txt")
      }
    }
  }
}
