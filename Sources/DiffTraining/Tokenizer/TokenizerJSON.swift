import StrictJSON
import TensorCore

/// A reader of Hugging Face's `tokenizer.json`, which refuses settings that are not implemented by
/// name.
struct TokenizerJSON {
  private let json: JSONValue
  private let model: JSONValue

  /// Parses the contents of a file.
  ///
  /// - Throws: `malformed`.
  init(_ bytes: [UInt8]) throws(DiffError) {
    json = try JSONValue(parsing: bytes)
    guard let model = json["model"], model.members != nil else {
      throw DiffError(.malformed, "no \"model\": not a tokenizer.json")
    }
    self.model = model
  }

  /// The tokenizer.
  ///
  /// - Throws: `unsupported` with the name of a part that is not implemented, `malformed`.
  var tokenizer: any Tokenizer {
    get throws(DiffError) {
      // Old files do not name the type of their model.
      let type = model["type"]?.text ?? (model["merges"] == nil ? "WordPiece" : "BPE")
      switch type {
      case "WordPiece": return try wordPiece
      case "BPE": return try byteLevelBPE
      default: throw unsupported("models of type '\(type)'", only: "WordPiece and byte-level BPE")
      }
    }
  }

  private func unsupported(_ what: String, only: String) -> DiffError {
    DiffError(.unsupported, "\(what) are not implemented, only \(only)")
  }

  private func unsupported(_ part: String, _ name: String) -> DiffError {
    DiffError(.unsupported, "its \(part) is '\(name)', which is not implemented")
  }

  /// Returns a component of the pipeline, or nil; a sequence of one component is that component.
  private func part(_ name: String) -> JSONValue? {
    guard var part = json[name], part != .null else { return nil }
    while part["type"]?.text == "Sequence" {
      let parts =
        ["normalizers", "pretokenizers", "processors"].lazy
        .compactMap { part[$0]?.elements }.first ?? []
      guard parts.count == 1 else { break }
      part = parts[0]
    }
    return part
  }

  /// Throws if a setting of a component has a value that is not implemented.
  private func require(
    _ name: String, of part: JSONValue, _ what: String, is known: [JSONValue?]
  ) throws(DiffError) {
    let value = part[name].flatMap { $0 == .null ? nil : $0 }
    guard !known.contains(value) else { return }
    throw DiffError(
      .unsupported,
      "\"\(name)\" of its \(what) is \(value?.compact ?? "absent"), which is not "
        + "implemented")
  }

  // MARK: Models

  private var wordPiece: WordPiece {
    get throws(DiffError) {
      var options = WordPiece.Options()
      guard let normalizer = part("normalizer"), normalizer["type"]?.text == "BertNormalizer" else {
        throw unsupported("normalizer", part("normalizer")?["type"]?.text ?? "none")
      }
      try require("clean_text", of: normalizer, "normalizer", is: [.bool(true)])
      options.lowercases = normalizer["lowercase"] == .bool(true)
      if case .bool(let strips) = normalizer["strip_accents"] { options.stripsAccents = strips }
      options.separatesIdeographs = normalizer["handle_chinese_chars"] == .bool(true)
      let splitter = part("pre_tokenizer")?["type"]?.text ?? "none"
      guard splitter == "BertPreTokenizer" else { throw unsupported("pre_tokenizer", splitter) }
      try require(
        "continuing_subword_prefix", of: model, "model", is: [nil, .string("##")])
      if let longest = model["max_input_chars_per_word"]?.unsigned {
        options.longestWord = Int(clamping: longest)
      }
      return try WordPiece(
        pieces: vocabulary, unknown: model["unk_token"]?.text ?? "[UNK]", options: options,
        added: added,
        frame: frame)
    }
  }

  private var byteLevelBPE: ByteLevelBPE {
    get throws(DiffError) {
      if let normalizer = part("normalizer") {
        throw unsupported("normalizer", normalizer["type"]?.text ?? "")
      }
      guard let splitter = part("pre_tokenizer"), splitter["type"]?.text == "ByteLevel" else {
        throw unsupported("pre_tokenizer", part("pre_tokenizer")?["type"]?.text ?? "none")
      }
      try require("use_regex", of: splitter, "pre_tokenizer", is: [nil, .bool(true)])
      try require("dropout", of: model, "model", is: [nil])
      try require("byte_fallback", of: model, "model", is: [nil, .bool(false)])
      try require("ignore_merges", of: model, "model", is: [nil, .bool(false)])
      for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
        try require(name, of: model, "model", is: [nil, .string("")])
      }
      return try ByteLevelBPE(
        ids: vocabulary, merges: merges, added: added, frame: frame,
        addsPrefixSpace: splitter["add_prefix_space"] == .bool(true))
    }
  }

  private var vocabulary: [(text: String, id: Int32)] {
    get throws(DiffError) {
      guard let members = model["vocab"]?.members else {
        throw DiffError(.malformed, "its model has no object \"vocab\"")
      }
      return try members.map { member throws(DiffError) in
        (member.name, try id(member.value, member.name))
      }
    }
  }

  private func id(_ value: JSONValue?, _ name: String) throws(DiffError) -> Int32 {
    guard let id = value?.unsigned.flatMap({ Int32(exactly: $0) }) else {
      throw DiffError(.malformed, "the id of token '\(name)' is not a whole number")
    }
    return id
  }

  /// The pairs of tokens: each an array or, in older files, a string with a space.
  private var merges: [(String, String)] {
    get throws(DiffError) {
      try (model["merges"]?.elements ?? []).enumerated().map { number, pair throws(DiffError) in
        let parts =
          pair.text.map { $0.unicodeScalars.split(separator: " ").map { String($0) } }
          ?? (pair.elements ?? []).compactMap(\.text)
        guard parts.count == 2 else {
          throw DiffError(.malformed, "merge \(number) of its model is not a pair")
        }
        return (parts[0], parts[1])
      }
    }
  }

  // MARK: Added and special tokens

  private var added: [AddedTokens.Token] {
    get throws(DiffError) {
      try (json["added_tokens"]?.elements ?? []).map { token throws(DiffError) in
        let text = token["content"]?.text ?? ""
        // Such a token is matched in the normalizer's output, which is not kept.
        if token["normalized"] == .bool(true) && part("normalizer") != nil {
          throw DiffError(
            .unsupported,
            "its added token '\(text)' is matched in normalized text, which is not implemented")
        }
        return AddedTokens.Token(
          text: text, id: try id(token["id"], text), takesLeft: token["lstrip"] == .bool(true),
          takesRight: token["rstrip"] == .bool(true), isWord: token["single_word"] == .bool(true),
          isLate: token["normalized"] == .bool(true))
      }
    }
  }

  /// The special tokens around a sequence.
  private var frame: SequenceFrame {
    get throws(DiffError) {
      guard let part = part("post_processor") else { throw unsupported("post_processor", "none") }
      switch part["type"]?.text {
      case "BertProcessing", "RobertaProcessing":
        let isBert = part["type"]?.text == "BertProcessing"
        return SequenceFrame(
          start: try id(part["cls"]?.elements?.last, "cls"),
          end: try id(part["sep"]?.elements?.last, "sep"), separators: isBert ? 1 : 2,
          secondType: isBert ? 1 : 0)
      case "TemplateProcessing": return try frame(template: part)
      case let type: throw unsupported("post_processor", type ?? "")
      }
    }
  }

  /// Returns the frame of templates like `[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1`.
  private func frame(template: JSONValue) throws(DiffError) -> SequenceFrame {
    func pieces(_ name: String) throws(DiffError) -> [(token: Int32?, text: String, type: Int32)] {
      try (template[name]?.elements ?? []).map { piece throws(DiffError) in
        guard let member = piece.members?.first else {
          throw DiffError(.malformed, "its post_processor has an invalid template")
        }
        let text = member.value["id"]?.text ?? ""
        let type = Int32(clamping: member.value["type_id"]?.unsigned ?? 0)
        guard member.name == "SpecialToken" else { return (nil, text, type) }
        let ids = template["special_tokens"]?[text]?["ids"]?.elements
        guard ids?.count == 1 else { throw unsupported("template", text) }
        return (try id(ids?.first, text), text, type)
      }
    }
    let (single, pair) = (try pieces("single"), try pieces("pair"))
    guard single.count == 3, let start = single[0].token, single[1].token == nil,
      let end = single[2].token, single.allSatisfy({ $0.type == 0 }), pair.count >= 5
    else { throw unsupported("post_processor", "TemplateProcessing of another form") }
    let separators = pair.count - 4
    let types = pair.map(\.type)
    let secondType = types[pair.count - 2]
    let tokens =
      [start, nil] + [Int32?](repeating: end, count: separators) + [nil, end]
    let expected =
      [Int32](repeating: 0, count: 2 + separators) + [secondType, secondType]
    guard pair.map(\.token) == tokens, types == expected, pair[1].text == "A",
      pair[pair.count - 2].text == "B"
    else { throw unsupported("post_processor", "TemplateProcessing of another form") }
    return SequenceFrame(
      start: start, end: end, separators: separators, secondType: secondType)
  }
}
