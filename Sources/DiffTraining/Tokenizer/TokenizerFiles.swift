import StrictJSON
import SystemSupport
import TensorCore

/// Finds a tokenizer beside a model, in the files that Hugging Face's models come with.
public enum TokenizerFiles {
  /// Opens the tokenizer of a folder, `vocab.txt` or `vocab.json` with `merges.txt`; or of one of
  /// these files, the others beside it. What `tokenizer_config.json` says of it counts, if there
  /// is one.
  ///
  /// - Throws: `io`, `malformed`, `limit`.
  public static func open(_ path: String) throws(DiffError) -> any Tokenizer {
    if File.exists(path + "/vocab.txt") { return try open(path + "/vocab.txt") }
    if File.exists(path + "/vocab.json") { return try open(path + "/vocab.json") }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    let folder = parts.map { $0 + "/" }.joined()
    let settings = folder + "tokenizer_config.json"
    let config = File.exists(settings) ? try json(settings) : .object([])
    do {
      if path.hasSuffix(".json") {
        return try ByteLevelBPE(
          vocabulary: File.contents(of: path), merges: File.contents(of: folder + "merges.txt"),
          addsPrefixSpace: config["add_prefix_space"] == .bool(true))
      }
      return try WordPiece(vocabulary: File.contents(of: path), options: options(config))
    } catch { throw error.at(path: path) }
  }

  /// What a `tokenizer_config.json` says of BERT's clean-up; nil if it says nothing.
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
    do { return try JSONValue(parsing: File.contents(of: path)) } catch {
      throw error.at(path: path)
    }
  }
}
