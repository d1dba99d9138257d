import TensorCore

/// A value of a recipe, with the line that it stands on.
struct RecipeNode {
  private let node: YAMLValue

  /// The value of a text in YAML, of which JSON is a part; nil if there is none.
  ///
  /// - Throws: `malformed` with the line.
  static func parse(_ text: String) throws(DiffError) -> RecipeNode? {
    try YAMLValue.parse(text).map(RecipeNode.init(node:))
  }

  private init(node: YAMLValue) { self.node = node }

  /// The line, from 1 on.
  var line: Int { node.line }

  /// The error of this value.
  func refusal(_ message: String, _ code: DiffError.Code = .usage) -> DiffError {
    DiffError(code, "line \(line): \(message)")
  }

  /// Whether nothing is said.
  var isNull: Bool {
    guard case .scalar(let text, let isPlain) = node.content else { return false }
    return isPlain && ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The text of a scalar.
  var text: String? {
    if case .scalar(let text, _) = node.content, !isNull { text } else { nil }
  }

  /// A number, also one in quotes.
  var number: Double? {
    guard let number = text.flatMap({ Double($0) }), number.isFinite else { return nil }
    return number
  }

  /// A truth value, as YAML 1.1 and pydantic write it.
  var truth: Bool? {
    switch text?.lowercased() {
    case "true", "yes", "on", "y", "t", "1": true
    case "false", "no", "off", "n", "f", "0": false
    default: nil
    }
  }

  /// The elements of a list.
  var elements: [RecipeNode]? {
    guard case .sequence(let sequence) = node.content else { return nil }
    return sequence.map(RecipeNode.init(node:))
  }

  /// The members of a mapping; nothing is a mapping without any.
  ///
  /// - Parameter reasons: Why a key is refused, for those that are known; others are unknown.
  /// - Throws: `usage` for keys that are not among `keys`.
  func members(
    _ what: String, _ keys: [String], refusing reasons: [String: String] = [:]
  ) throws(DiffError) -> [String: RecipeNode] {
    if isNull { return [:] }
    guard case .mapping(let mapping) = node.content else {
      throw refusal("\(what) is to be a mapping of names to values")
    }
    var members: [String: RecipeNode] = [:]
    for (key, value) in mapping {
      let key = RecipeNode(node: key)
      guard let name = key.text else { throw key.refusal("a name is to be a text") }
      guard keys.contains(name) else {
        throw key.refusal(
          reasons[name].map { "'\(name)': \($0)" } ?? "'\(name)' is not known in \(what)")
      }
      members[name] = RecipeNode(node: value)
    }
    return members
  }
}
