import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// `tokenizer.json` alone, as transformers 5 saves it; see `tokenizer_json.py`.
@Suite struct TokenizerJSONTests {
  private let oracle: Oracle

  init() throws { oracle = try Oracle("tokenizers/oracle.json") }

  private static let kinds = [
    "bert-uncased", "bert-cased", "bert-added", "roberta", "roberta-prefixed", "roberta-added",
  ]

  private static func tokenizer(_ kind: String) throws -> any Tokenizer {
    try TokenizerFiles.open(Resource.path("tokenizers/" + kind))
  }

  @Test("10 000 random texts have the ids of Hugging Face's", arguments: kinds)
  func randomTexts(kind: String) throws {
    let texts = RandomTexts.texts(seed: 8, count: 10_000)
    let expected = oracle.hashes(kind, "random")
    #expect(expected.count == 20)
    let tokenizer = try Self.tokenizer(kind)
    #expect(Oracle.hashes(tokenizer, texts, block: 500, sources: false) == expected)
  }

  @Test("pairs have the frame, ids and segments of Hugging Face's", arguments: kinds)
  func pairs(kind: String) throws {
    let tokenizer = try Self.tokenizer(kind)
    let pairs = try #require(oracle.json[kind]?["pairs"]?.elements)
    #expect(pairs.count == 20)
    for pair in pairs {
      let first = try #require(pair["first"]?.text)
      let encoding = tokenizer.encode(first, pair["second"]?.text, maxLength: 1 << 20)
      #expect(encoding.ids == pair["ids"]?.integers, "\(first.debugDescription)")
      #expect(encoding.typeIDs == pair["types"]?.integers)
    }
  }

  @Test(
    "all texts of the real tasks have the ids of Hugging Face's",
    .enabled(if: Repository.haveShared),
    arguments: kinds)
  func tasks(kind: String) throws {
    let tokenizer = try Self.tokenizer(kind)
    let tasks = try #require(oracle.json[kind]?["tasks"]?.members)
    #expect(tasks.count == 21)
    for task in tasks {
      let texts = try Oracle.taskTexts(Repository.shared + "/tasks/" + task.name)
      let found = Oracle.hashes(tokenizer, texts, block: texts.count, sources: false)
      #expect(found == [task.value.text], "\(task.name)")
    }
  }

  @Test(
    "settings that are not implemented are refused by name", arguments: ["bert-uncased", "roberta"])
  func refusals(kind: String) throws {
    let path = Resource.path("tokenizers/\(kind)/tokenizer.json")
    let json = try JSONValue(parsing: File.contents(of: path))
    let isBert = kind == "bert-uncased"
    var changes: [(part: String, value: String, word: String)] = [
      ("model", "{\"type\": \"Unigram\", \"vocab\": []}", "Unigram"),
      ("normalizer", "{\"type\": \"NFKC\"}", "NFKC"),
      ("pre_tokenizer", "{\"type\": \"Metaspace\"}", "Metaspace"),
      ("post_processor", "{\"type\": \"ByteLevel\"}", "ByteLevel"),
      ("post_processor", "null", "post_processor"),
      ("model", "7", "no \"model\""),
    ]
    if isBert {
      changes.append(
        (
          "normalizer",
          "{\"type\": \"BertNormalizer\", \"clean_text\": false, \"lowercase\": true}", "clean_text"
        ))
      changes.append(
        ("added_tokens", "[{\"id\": 5, \"content\": \"new\", \"normalized\": true}]", "'new'"))
    } else {
      changes.append(
        ("pre_tokenizer", "{\"type\": \"ByteLevel\", \"use_regex\": false}", "use_regex"))
    }
    try Scratch.with { scratch in
      for (number, (part, value, word)) in changes.enumerated() {
        let path = scratch("\(number)-tokenizer.json")
        let members = (json.members ?? []).map {
          $0.name == part ? "\"\(part)\": \(value)" : "\"\($0.name)\": \($0.value.compact)"
        }
        let text = "{" + members.joined(separator: ",") + "}"
        try write(Array(text.utf8), toFile: path)
        #expect { try TokenizerFiles.open(path) } throws: {
          "\($0)".contains(word) && "\($0)".contains("tokenizer.json")
        }
      }
    }
  }

  @Test("a folder without a tokenizer is refused with the files that it may have")
  func missing() throws {
    _ = try Scratch.with { scratch in
      #expect { try TokenizerFiles.open(scratch.path) } throws: {
        "\($0)".contains("tokenizer.json, vocab.txt")
      }
    }
  }
}
