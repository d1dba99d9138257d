import TensorCore
import Yams

/// A value of a recipe, with the line that it stands on.
struct RecipeNode {
  private let node: Node

  /// The value of a text in YAML, of which JSON is a part; nil if there is none.
  ///
  /// - Throws: `malformed` with the line.
  static func parse(_ text: String) throws(DiffError) -> RecipeNode? {
    do { return try compose(yaml: text).map(RecipeNode.init(node:)) } catch {
      throw DiffError(.malformed, (error as? YamlError)?.line ?? "is no YAML: \(error)")
    }
  }

  private init(node: Node) { self.node = node }

  /// The line, from 1 on.
  var line: Int { node.mark?.line ?? 1 }

  /// The error of this value.
  func refusal(_ message: String, _ code: DiffError.Code = .usage) -> DiffError {
    DiffError(code, "line \(line): \(message)")
  }

  /// Whether nothing is said.
  var isNull: Bool {
    guard case .scalar(let scalar) = node else { return false }
    return scalar.style == .plain && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
  }

  /// The text of a scalar.
  var text: String? {
    if case .scalar(let scalar) = node, !isNull { scalar.string } else { nil }
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
    guard case .sequence(let sequence) = node else { return nil }
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
    guard case .mapping(let mapping) = node else {
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

extension YamlError {
  /// The error in a line.
  fileprivate var line: String {
    switch self {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      return "line \(mark.line): \(problem)"
    case .duplicatedKeysInMapping(let duplicates, let context):
      let names = duplicates.sorted().map { "'\($0)'" }.joined(separator: ", ")
      return "line \(context.mark.line): \(names) is given twice in one mapping"
    case .reader(let problem, _, _, _): return problem
    default: return "is no YAML: \(self)"
    }
  }
}
