/// The names that headers commonly give to columns.
enum ColumnNames {
  static let labels: Set<String> = [
    "label", "labels", "class", "category", "target", "score", "rating", "sentiment", "gold",
  ]
  static let texts: Set<String> = [
    "text", "texts", "sentence", "review", "message", "comment", "content", "document", "utterance",
  ]
  static let pairs: [(String, String)] = [
    ("text1", "text2"), ("sentence1", "sentence2"), ("premise", "hypothesis"),
    ("question1", "question2"), ("question", "context"), ("question", "sentence"),
    ("text", "text_pair"),
  ]
  /// Names of columns that number or name rows; pandas leaves the name of its index empty.
  static let ids: Set<String> = ["", "id", "idx", "index", "guid", "uuid", "unnamed: 0"]

  /// Returns whether a field is a common name of a column.
  static func isKnown(_ name: String) -> Bool {
    let name = name.lowercased()
    return labels.contains(name) || texts.contains(name) || name != "" && ids.contains(name)
      || pairs.contains { $0.0 == name || $0.1 == name }
  }
}
