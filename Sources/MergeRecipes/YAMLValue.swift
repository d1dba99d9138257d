import CYAML
import TensorCore

/// A value of a text in YAML 1.1, of which JSON is a part, with the line that it stands on.
///
/// libyaml reads it. (Yams, which has a copy of libyaml, needs all of Foundation: 12 MB in each
/// program that has the Swift runtime inside.)
struct YAMLValue {
  let content: Content
  /// From 1 on.
  let line: Int

  /// Scalars are texts; plain ones are not in quotes and may mean something else.
  enum Content {
    case scalar(String, isPlain: Bool)
    case sequence([YAMLValue])
    case mapping([(key: YAMLValue, value: YAMLValue)])
  }

  /// The value of the only document of a text; nil if there is none.
  ///
  /// - Throws: `malformed` with the line, also for a key that is given twice, an alias inside of
  ///   what it stands for, and values inside each other more than 100 levels deep.
  static func parse(_ text: String) throws(DiffError) -> YAMLValue? {
    // A first look at the events, since libyaml takes quadratic time for deep nesting.
    try unsafe reading(text) { parser throws(DiffError) in try unsafe checkDepth(&parser) }
    return try unsafe reading(text) { parser throws(DiffError) in
      let value = try unsafe next(&parser)
      if value != nil, let more = try unsafe next(&parser) {
        throw DiffError(.malformed, "line \(more.line): another document, where one is to be")
      }
      return value
    }
  }

  private static func reading<Result>(
    _ text: String, _ body: (inout yaml_parser_t) throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    try unsafe Array(text.utf8).withUnsafeBufferPointer { bytes throws(DiffError) in
      var parser = unsafe yaml_parser_t()
      guard unsafe yaml_parser_initialize(&parser) == 1 else {
        fatalError("libyaml cannot start: out of memory")
      }
      defer { unsafe yaml_parser_delete(&parser) }
      unsafe yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
      unsafe yaml_parser_set_input_string(&parser, bytes.baseAddress, bytes.count)
      return try unsafe body(&parser)
    }
  }

  private static func checkDepth(_ parser: inout yaml_parser_t) throws(DiffError) {
    var depth = 0
    var event = unsafe yaml_event_t()
    repeat {
      guard unsafe yaml_parser_parse(&parser, &event) == 1 else {
        throw unsafe DiffError(.malformed, problem(parser))
      }
      defer { unsafe yaml_event_delete(&event) }
      switch unsafe event.type {
      case YAML_STREAM_END_EVENT: return
      case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT: depth += 1
      case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: depth -= 1
      default: break
      }
      guard depth <= 100 else {
        let line = unsafe event.start_mark.line + 1
        throw DiffError(
          .malformed, "line \(line): values inside each other more than 100 levels deep")
      }
    } while true
  }

  /// The value of the next document.
  private static func next(_ parser: inout yaml_parser_t) throws(DiffError) -> YAMLValue? {
    var document = unsafe yaml_document_t()
    guard unsafe yaml_parser_load(&parser, &document) == 1 else {
      throw unsafe DiffError(.malformed, problem(parser))
    }
    defer { unsafe yaml_document_delete(&document) }
    guard unsafe yaml_document_get_root_node(&document) != nil else { return nil }
    var composer = unsafe YAMLComposer(document)
    return try composer.value(1, depth: 0)
  }

  private static func problem(_ parser: yaml_parser_t) -> String {
    guard let text = unsafe parser.problem else { return "is no YAML" }
    let problem = unsafe String(cString: text)
    switch unsafe parser.error {
    case YAML_SCANNER_ERROR, YAML_PARSER_ERROR, YAML_COMPOSER_ERROR:
      return unsafe "line \(parser.problem_mark.line + 1): \(problem)"
    default: return problem
    }
  }
}

/// The nodes of a document of libyaml as values. Each is made once, however many aliases it has.
@safe private struct YAMLComposer {
  private let nodes: UnsafeBufferPointer<yaml_node_t>
  private var made: [Int32: YAMLValue] = [:]
  private var begun: Set<Int32> = []

  init(_ document: yaml_document_t) {
    unsafe nodes = Self.items(document.nodes.start, document.nodes.top)
  }

  /// What is on one of libyaml's stacks.
  private static func items<Item>(
    _ start: UnsafeMutablePointer<Item>?, _ top: UnsafeMutablePointer<Item>?
  ) -> UnsafeBufferPointer<Item> {
    guard let start = unsafe start, let top = unsafe top else {
      return unsafe UnsafeBufferPointer(start: nil, count: 0)
    }
    return unsafe UnsafeBufferPointer(start: start, count: top - start)
  }

  /// The value of a node by its number, from 1 on.
  mutating func value(_ number: Int32, depth: Int) throws(DiffError) -> YAMLValue {
    if let made = made[number] { return made }
    let node = unsafe nodes[Int(number) - 1]
    let line = unsafe Int(node.start_mark.line) + 1
    guard depth < 100 else {
      throw DiffError(
        .malformed, "line \(line): values inside each other more than 100 levels deep")
    }
    guard begun.insert(number).inserted else {
      throw DiffError(.malformed, "line \(line): an alias inside of what it stands for")
    }
    let content: YAMLValue.Content
    switch unsafe node.type {
    case YAML_SEQUENCE_NODE:
      let items = unsafe node.data.sequence.items
      var elements: [YAMLValue] = []
      for item in unsafe Array(Self.items(items.start, items.top)) {
        elements.append(try value(item, depth: depth + 1))
      }
      content = .sequence(elements)
    case YAML_MAPPING_NODE:
      let pairs = unsafe node.data.mapping.pairs
      var members: [(key: YAMLValue, value: YAMLValue)] = []
      var names: Set<String> = []
      for pair in unsafe Array(Self.items(pairs.start, pairs.top)) {
        let key = try value(pair.key, depth: depth + 1)
        if case .scalar(let name, _) = key.content, !names.insert(name).inserted {
          throw DiffError(.malformed, "line \(key.line): '\(name)' is given twice in one mapping")
        }
        members.append((key, try value(pair.value, depth: depth + 1)))
      }
      content = .mapping(members)
    default:
      let scalar = unsafe node.data.scalar
      let bytes = unsafe UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      content = unsafe .scalar(
        String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
    }
    let value = YAMLValue(content: content, line: line)
    made[number] = value
    return value
  }
}
