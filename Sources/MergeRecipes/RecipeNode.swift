import TensorCore

/// A value of a recipe, with its line.
struct RecipeNode {
  private let node: YAMLValue

  /// Parses a text in YAML, which includes JSON; returns nil for an empty text.
  ///
  /// - Throws: `malformed` with the line.
  static func parse(_ text: String) throws(DiffError) -> RecipeNode? {
    try YAMLValue.parse(text).map(RecipeNode.init(node:))
  }

  private init(node: YAMLValue) { self.node = node }

  /// The line number, starting at 1.
  var line: Int { node.line }

  /// Returns the error of this value.
  func refusal(_ message: String, _ code: DiffError.Code = .usage) -> DiffError {
    DiffError(code, "line \(line): \(message)")
  }

  /// True if the value is null or empty.
  var isNull: Bool {
    guard case .scalar(let text, let isPlain) = node.content else { return false }
    return isPlain && ["", "~", "null", "Null", "NULL"].contains(text)
  }

  /// The text of a scalar; nil for other values.
  var text: String? {
    if case .scalar(let text, _) = node.content, !isNull { text } else { nil }
  }

  /// The finite number, quoted or not; nil for other values.
  var number: Double? {
    guard let number = text.flatMap({ Double($0) }), number.isFinite else { return nil }
    return number
  }

  /// The Boolean, as written in YAML 1.1 and pydantic; nil for other values.
  var truth: Bool? {
    switch text?.lowercased() {
    case "true", "yes", "on", "y", "t", "1": true
    case "false", "no", "off", "n", "f", "0": false
    default: nil
    }
  }

  /// The elements of a list; nil for other values.
  var elements: [RecipeNode]? {
    guard case .sequence(let sequence) = node.content else { return nil }
    return sequence.map(RecipeNode.init(node:))
  }

  /// Returns the members of a mapping; a null value is an empty mapping.
  ///
  /// - Parameter reasons: the reasons to refuse known keys; other keys are reported as unknown.
  /// - Throws: `usage` for keys that are not among `keys`.
  func members(
    _ what: String, _ keys: [String], refusing reasons: [String: String] = [:]
  ) throws(DiffError) -> [String: RecipeNode] {
    if isNull { return [:] }
    guard case .mapping(let mapping) = node.content else {
      throw refusal("\(what) must be a mapping of names to values")
    }
    var members: [String: RecipeNode] = [:]
    for (key, value) in mapping {
      let key = RecipeNode(node: key)
      guard let name = key.text else { throw key.refusal("a name must be a string") }
      guard keys.contains(name) else {
        throw key.refusal(
          reasons[name].map { "'\(name)': \($0)" } ?? "'\(name)' is unknown in \(what)")
      }
      members[name] = RecipeNode(node: value)
    }
    return members
  }
}
