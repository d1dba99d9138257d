import StrictJSON
import SystemSupport
import TensorCore

/// The `config.json` that the transformers library requires for a model with the head of a task.
public struct TransformersConfiguration: Sendable, Hashable {
  /// The contents of the file.
  public let bytes: [UInt8]
  /// Differences between the library and diffkit, one line each.
  public let notes: [String]

  /// Adapts a configuration.
  ///
  /// - Parameters:
  ///   - contents: The contents of the base's `config.json`.
  ///   - facts: The properties of the task; nil to keep the head.
  ///   - vocabulary: The number of rows of the token table; nil to keep it.
  /// - Throws: `malformed`.
  public init(
    _ contents: [UInt8], to facts: TaskFacts?, vocabulary: Int? = nil
  ) throws(DiffError) {
    let json = try JSONValue(parsing: contents)
    guard var members = json.members else {
      throw DiffError(.malformed, "config.json is not a JSON object")
    }
    func set(_ name: String, _ value: JSONValue?) {
      let index = members.firstIndex { $0.name == name }
      switch (index, value) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append(JSONValue.Member(name, value))
      case (nil, nil): break
      }
    }
    if let vocabulary { set("vocab_size", .number("\(vocabulary)")) }
    var notes: [String] = []
    if let facts {
      if let name = json.family?.className(facts.kind) {
        set("architectures", .array([.string(name)]))
        if facts.kind != .spans && facts.pooling != .pooler {
          notes.append(
            "the library's \(name) uses the pooled first token of a text, but this task uses its "
              + (facts.pooling == .mean ? "mean" : "first token"))
        }
      } else {
        notes.append("the library's models of this type have a different head from this task's")
      }
      let labels = facts.kind == .regression ? ["LABEL_0"] : facts.labels
      if facts.kind != .spans {
        set(
          "id2label",
          .object(labels.enumerated().map { JSONValue.Member("\($0)", .string($1)) }))
        set(
          "label2id",
          .object(labels.enumerated().map { JSONValue.Member($1, .number("\($0)")) }))
        set("num_labels", .number("\(labels.count)"))
        set(
          "problem_type",
          .string(facts.kind == .regression ? "regression" : "single_label_classification"))
      }
      set(
        HeadSettings.member,
        .object(
          [
            JSONValue.Member("pooling", .string(facts.pooling.rawValue)),
            JSONValue.Member("max_length", .number("\(facts.maxLength)")),
          ] + facts.columns.members))
    }
    self.notes = notes
    let lines = members.map { "  \(JSONValue.string($0.name).compact): \($0.value.compact)" }
    bytes = Array("{\n\(lines.joined(separator: ",\n"))\n}\n".utf8)
  }
}

/// The properties of a task that a `config.json` has for diffkit alone, beside those that the
/// transformers library knows; nil where it has none.
public struct HeadSettings: Sendable, Hashable {
  /// The way in which the tokens of a text are pooled.
  public let pooling: EncoderModel.Pooling?
  /// The maximum number of tokens in a text.
  public let maxLength: Int?
  /// The names of the columns that were trained on; see `TaskFacts.columns`.
  public let columns: TaskColumns

  /// The name of the member that has them.
  fileprivate static let member = "diffkit"

  /// Creates the settings of a `config.json` that has none.
  public init() { (pooling, maxLength, columns) = (nil, nil, TaskColumns()) }

  /// Reads the settings in a `config.json`.
  ///
  /// - Throws: `io`, `malformed`.
  public init(configuration path: String) throws(DiffError) {
    guard let json = try TransformersConfiguration.read(path)[Self.member] else {
      self = HeadSettings()
      return
    }
    guard let pooling = (json["pooling"]?.text).flatMap({ EncoderModel.Pooling(rawValue: $0) }),
      let length = json["max_length"]?.unsigned, (3...1 << 20).contains(length)
    else {
      let known = EncoderModel.Pooling.allCases.map(\.rawValue).joined(separator: ", ")
      throw DiffError(
        .malformed,
        "'\(Self.member)' is \(json.compact.abbreviated()), but must have a pooling (\(known)) and a "
          + "max_length (3 ... \(1 << 20))", path: path)
    }
    self.pooling = pooling
    maxLength = Int(length)
    columns = TaskColumns(
      texts: json["texts"]?.elements?.compactMap(\.text) ?? [], label: json["label"]?.text)
  }
}

extension TaskColumns {
  /// The names as members of the settings.
  fileprivate var members: [JSONValue.Member] {
    (texts.isEmpty ? [] : [.init("texts", .array(texts.map { .string($0) }))])
      + (label.map { [.init("label", .string($0))] } ?? [])
  }
}

extension TransformersConfiguration {
  /// Returns the class that a model's `config.json` names for a head that diffkit does not have,
  /// though tensors may have the names of one that it has; nil if there is none.
  ///
  /// - Throws: `io`, `malformed`.
  public static func otherHead(configuration path: String) throws(DiffError) -> String? {
    let json = try read(path)
    let known = [TaskDescription.Kind.spans, .regression].compactMap { json.family?.className($0) }
    return json.classes.first { name in
      heads.contains { name.hasSuffix($0) } && !known.contains(name)
    }
  }

  private static let heads = [
    "ForSequenceClassification", "ForTokenClassification", "ForMultipleChoice",
    "ForQuestionAnswering",
  ]

  fileprivate static func read(_ path: String) throws(DiffError) -> JSONValue {
    try File.parse(path, limit: 1 << 20) { bytes throws(DiffError) in
      try JSONValue(parsing: bytes)
    }
  }
}

extension JSONValue {
  /// The family and the classes of the model of a `config.json`.
  fileprivate var family: EncoderConfiguration.Family? {
    self["model_type"]?.text.flatMap(EncoderConfiguration.Family.init)
  }
  fileprivate var classes: [String] {
    (self["architectures"]?.elements ?? []).compactMap(\.text)
  }
}

extension TaskDescription.Kind {
  /// Reads the kind of task that a model's `config.json` is for; nil if it specifies none, or one
  /// for which the model's class has another head than diffkit's.
  ///
  /// - Throws: `io`, `malformed`.
  public init?(configuration path: String) throws(DiffError) {
    let json = try TransformersConfiguration.read(path)
    guard let kind = Self(json) else { return nil }
    if let name = json.family?.className(kind) {
      guard json.classes.contains(name) else { return nil }
    } else {
      // A head that the transformers library does not have was written by diffkit, or is another.
      guard json[HeadSettings.member] != nil else { return nil }
    }
    self = kind
  }

  private init?(_ json: JSONValue) {
    if json.classes.contains(where: { $0.hasSuffix("ForQuestionAnswering") }) {
      self = .spans
      return
    }
    let members = json["id2label"]?.members ?? []
    let named = Dictionary(
      members.map { ($0.name, $0.value.text) }, uniquingKeysWith: { first, _ in first })
    let labels = members.indices.compactMap { named["\($0)"] ?? nil }
    guard !labels.isEmpty, labels.count == members.count, Set(labels).count == labels.count
    else { return nil }
    switch (json["problem_type"]?.text, labels.count) {
    case ("regression", 1), (nil, 1): self = .regression
    case ("single_label_classification", 2...), (nil, 2...):
      self = .classification(labels: labels)
    default: return nil
    }
  }

  /// True if the classes have the names that the transformers library gives to those without one.
  public var isUnnamed: Bool {
    guard case .classification(let labels) = self else { return false }
    return labels.indices.allSatisfy { labels[$0] == "LABEL_\($0)" }
  }
}

extension EncoderConfiguration.Family {
  /// Returns the class of the transformers library that has the same head as diffkit, or nil.
  fileprivate func className(_ kind: TaskDescription.Kind) -> String? {
    switch (self, kind) {
    case (.bert, .spans): "BertForQuestionAnswering"
    case (.roberta, .spans): "RobertaForQuestionAnswering"
    case (.distilbert, .spans): "DistilBertForQuestionAnswering"
    case (.bert, _): "BertForSequenceClassification"
    // These have two layers, or an activation, where diffkit's head is one product.
    case (.roberta, _), (.distilbert, _): nil
    }
  }
}
