import TensorCore
import Yams

/// A value of a recipe, with its line.
struct RecipeNode {
  private let node: Node

  /// Parses a text in YAML, which includes JSON; returns nil for an empty text.
  ///
  /// - Throws: `malformed` with the line.
  static func parse(_ text: String) throws(DiffError) -> RecipeNode? {
    do { return try compose(yaml: text).map(RecipeNode.init(node:)) } catch {
      throw DiffError(.malformed, (error as? YamlError)?.line ?? "is not YAML: \(error)")
    }
  }

  private init(node: Node) { self.node = node }

  /// The line number, starting at 1.
  var line: Int { node.mark?.line ?? 1 }

  /// Returns the error of this value.
  func refusal(_ message: String, _ code: DiffError.Code = .usage) -> DiffError {
    DiffError(code, "line \(line): \(message)")
  }

  /// True if the value is null or empty.
  var isNull: Bool {
    guard case .scalar(let scalar) = node else { return false }
    return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  /// The text of a scalar; nil for other values.
  var text: String? {
    if case .scalar(let scalar) = node, !isNull { scalar.string } else { nil }
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
    guard case .sequence(let sequence) = node else { return nil }
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
    guard case .mapping(let mapping) = node else {
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

extension YamlError {
  /// The message with the line.
  fileprivate var line: String {
    switch self {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return "line \(mark.line): \(problem)"
    case .duplicatedKeysInMapping(let duplicates, let context):
      let names = duplicates.sorted().map { "'\($0)'" }.joined(separator: ", ")
      return "line \(context.mark.line): \(names) is given twice in one mapping"
    case .reader(let problem, _, _, _): return problem
    default: return "is not YAML: \(self)"
    }
  }
}
