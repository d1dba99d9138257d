import StrictJSON
import SystemSupport
import TensorCore

/// The tokenizer files that accompany Hugging Face's models.
public enum TokenizerFiles {
  /// The names of all files that `open` may read.
  public static let names = [
    "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
  ]

  /// Opens the tokenizer of a folder: `tokenizer.json`, else `vocab.txt`, else `vocab.json` with
  /// `merges.txt`; or of one of these files, the others beside it. Vocabularies are used with the
  /// settings of `tokenizer_config.json`, if there is one.
  ///
  /// - Throws: `io`, `malformed`, `limit`; `unsupported` for parts that are not implemented.
  public static func open(_ path: String) throws(DiffError) -> any Tokenizer {
    if Folder.exists(path) {
      let names = ["tokenizer.json", "vocab.txt", "vocab.json"]
      guard let name = names.first(where: { File.exists(path + "/" + $0) }) else {
        throw DiffError(
          .notFound, "has no tokenizer: tokenizer.json, vocab.txt, or vocab.json and merges.txt",
          path: path)
      }
      return try open(path + "/" + name)
    }
    if path.hasSuffix("tokenizer.json") {
      return try File.parse(path) { bytes throws(DiffError) in try TokenizerJSON(bytes).tokenizer }
    }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let folder = parts.map { $0 + "/" }.joined()
    let settings = folder + "tokenizer_config.json"
    let config = File.exists(settings) ? try json(settings) : .object([])
    return try File.parse(path) { vocabulary throws(DiffError) in
      guard path.hasSuffix(".json") else {
        return try WordPiece(vocabulary: vocabulary, options: options(config))
      }
      return try ByteLevelBPE(
        vocabulary: vocabulary, merges: File.contents(of: folder + "merges.txt"),
        addsPrefixSpace: config["add_prefix_space"] == .bool(true))
    }
  }

  /// Returns the settings of BERT's clean-up in a `tokenizer_config.json`; nil if it has none.
  private static func options(_ config: JSONValue) -> WordPiece.Options? {
    let names = [
      "do_lower_case", "strip_accents", "tokenize_chinese_chars", "max_input_chars_per_word",
    ]
    guard names.contains(where: { config[$0] != nil }) else { return nil }
    var options = WordPiece.Options()
    options.lowercases = config["do_lower_case"] != .bool(false)
    if case .bool(let strips) = config["strip_accents"] { options.stripsAccents = strips }
    options.separatesIdeographs = config["tokenize_chinese_chars"] != .bool(false)
    if let longest = config["max_input_chars_per_word"]?.unsigned {
      options.longestWord = Int(clamping: longest)
    }
    return options
  }

  private static func json(_ path: String) throws(DiffError) -> JSONValue {
    try File.parse(path) { bytes throws(DiffError) in try JSONValue(parsing: bytes) }
  }
}
