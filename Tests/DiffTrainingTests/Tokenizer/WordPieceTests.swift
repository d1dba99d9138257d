import DiffTraining
import StrictJSON
import SystemSupport
import Testing
import TestSupport

@Suite struct WordPieceTests {
  private let oracle: Oracle
  private let small: WordPiece

  init() throws {
    oracle = try Oracle("wordpiece.json")
    small = try WordPiece(vocabulary: File.contents(of: Resource.path("vocab.txt")))
  }

  /// A vocabulary with every scalar as a piece, so that ids determine the cleaned text.
  private static let everyScalar: [UInt8] = {
    let scalars = (1..<UInt32(0x30000)).filter { $0 != 10 && $0 != 13 }
      .compactMap(Unicode.Scalar.init)
    return Array(
      (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + scalars.map { "\($0)" }
        + scalars.map { "##\($0)" }).joined(separator: "\n").utf8)
  }()

  private static func tokenizer(_ name: String) throws -> WordPiece {
    var options = WordPiece.Options()
    options.lowercases = !name.hasPrefix("cased")
    options.stripsAccents =
      name == "cased-stripped" ? true : name == "uncased-accents" ? false : nil
    options.separatesIdeographs = name != "uncased-accents"
    return try WordPiece(vocabulary: everyScalar, options: options)
  }

  private static let settings = ["uncased", "cased", "cased-stripped", "uncased-accents"]

  @Test("every scalar is cleaned up as by Hugging Face", arguments: settings)
  func everyScalarIsCleaned(name: String) throws {
    let expected = oracle.hashes("scalars", name)
    let found = Oracle.hashes(try Self.tokenizer(name), Oracle.scalarTexts, block: 16384)
    #expect(expected.count == 68)
    #expect(found == expected)
  }

  @Test("10 000 random texts have the ids and sources of Hugging Face's", arguments: settings)
  func randomTexts(name: String) throws {
    let texts = RandomTexts.texts(seed: 6, count: 10_000)
    let expected = oracle.hashes("random", name)
    #expect(expected.count == 20)
    #expect(Oracle.hashes(try Self.tokenizer(name), texts, block: 500) == expected)
  }

  @Test("samples have the ids and sources of Hugging Face's")
  func samples() throws {
    let samples = try #require(oracle.json["samples"]?.elements)
    #expect(samples.count == 200)
    for sample in samples {
      let text = try #require(sample["text"]?.text)
      let pieces = small.pieces(of: text)
      #expect(pieces.ids == sample["ids"]?.integers, "\(text.debugDescription)")
      #expect(
        pieces.sources.flatMap { [Int32($0.lowerBound), Int32($0.upperBound)] }
          == sample["offsets"]?.integers, "\(text.debugDescription)")
    }
  }

  @Test("texts and pairs are cut where Hugging Face cuts them")
  func truncation() throws {
    let pairs = try #require(oracle.json["pairs"]?.elements)
    #expect(pairs.count == 60)
    for pair in pairs {
      let first = try #require(pair["first"]?.text)
      let second = try #require(pair["second"]?.text)
      let length = Int(try #require(pair["length"]?.unsigned))
      let encoding = small.encode(first, second, maxLength: length)
      #expect(encoding.ids == pair["ids"]?.integers, "\(first), \(second), \(length)")
      #expect(encoding.typeIDs == pair["types"]?.integers)
      #expect(small.encode(first, maxLength: length).ids == pair["single"]?.integers)
    }
  }

  @Test("every text of the task in samples has the ids of Hugging Face's")
  func everySampleText() throws {
    let tasks = try #require(oracle.json["shipped"]?.members)
    #expect(tasks.count == 2)
    for task in tasks {
      let texts = try Oracle.taskTexts("\(Repository.path)/samples/\(task.name)")
      #expect(Oracle.hashes(small, texts, block: texts.count) == [task.value.text], "\(task.name)")
    }
  }

  @Test(
    "every text of the tasks has the ids of Hugging Face's",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func everyTaskText() throws {
    let folder = Repository.shared
    let large = try WordPiece(
      vocabulary: File.contents(of: folder + "/models/minilm-l6/vocab.txt"))
    let tasks = try #require(oracle.json["tasks"]?.members)
    #expect(tasks.count == 21)
    for task in tasks {
      let texts = try Oracle.taskTexts("\(folder)/tasks/\(task.name)")
      #expect(
        Oracle.hashes(large, texts, block: texts.count) == [task.value.text], "\(task.name)")
    }
  }
}
