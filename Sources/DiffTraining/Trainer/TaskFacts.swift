import StrictJSON
import TensorCore

/// The properties of a task that its diff must hold, beside the changes, so that the task can be
/// run again. Stored in the diff's metadata under keys that begin with `task.`.
public struct TaskFacts: Sendable, Hashable {
  /// The kind of prediction.
  public var kind: TaskDescription.Kind
  /// The way in which the tokens of a text are pooled.
  public var pooling: EncoderModel.Pooling
  /// The maximum number of tokens in a text.
  public var maxLength: Int
  /// True if each example has two texts; nil if the diff does not specify it.
  public var isPair: Bool?
  /// The names of the columns that were trained on, where they were specified; see
  /// `TableOptions.usual`.
  public var columns = TaskColumns()

  /// Creates the properties of a task.
  public init(
    kind: TaskDescription.Kind, pooling: EncoderModel.Pooling, maxLength: Int,
    isPair: Bool? = nil
  ) {
    self.kind = kind
    self.pooling = pooling
    self.maxLength = maxLength
    self.isPair = isPair
  }

  /// Checks that data have two texts if the task has two, and one if it has one.
  ///
  /// - Throws: `mismatch`.
  public func check(_ data: TaskSet, path: String) throws(DiffError) {
    guard let isPair, data.description.isPair != isPair else { return }
    throw DiffError(
      .mismatch,
      isPair
        ? "has single texts, but the task is about pairs"
        : "has pairs of texts, but the task is about single ones",
      path: path, remedy: isPair ? nil : .textColumn)
  }

  /// The head that the task needs.
  public var head: EncoderModel.Head {
    switch kind {
    case .classification(let labels): .classes(labels.count)
    case .regression: .number
    case .spans: .span
    }
  }

  /// The classes, in the order of the head's outputs; empty for other kinds of prediction.
  public var labels: [String] {
    if case .classification(let labels) = kind { labels } else { [] }
  }

  /// The metadata of a diff.
  public var metadata: [String: String] {
    let name =
      switch kind {
      case .classification: "classification"
      case .regression: "regression"
      case .spans: "spans"
      }
    var metadata = [
      "task.kind": name,
      "task.labels": JSONValue.array(labels.map { .string($0) }).compact,
      "task.pooling": pooling.rawValue,
      "task.max-length": String(maxLength),
    ]
    metadata["task.pair"] = isPair.map { "\($0)" }
    if !columns.texts.isEmpty {
      metadata["task.texts"] = JSONValue.array(columns.texts.map { .string($0) }).compact
    }
    metadata["task.label"] = columns.label
    return metadata
  }

  /// Reads the metadata of a diff, at this path if it has one.
  ///
  /// - Throws: `mismatch` if it is not that of a task, `malformed` if it is invalid.
  public init(_ metadata: [String: String], path: String? = nil) throws(DiffError) {
    guard let name = metadata["task.kind"] else {
      throw DiffError(
        .mismatch, "has no metadata of a task: it was not made by 'diffkit train'", path: path)
    }
    func malformed(_ key: String) -> DiffError {
      DiffError(.malformed, "the metadata '\(key)' is invalid", path: path)
    }
    func list(_ key: String, _ counts: ClosedRange<Int>) throws(DiffError) -> [String] {
      let list = (try? JSONValue(parsing: Array((metadata[key] ?? "").utf8)))?.elements ?? []
      let texts = list.compactMap(\.text)
      guard texts.count == list.count, counts.contains(texts.count) else { throw malformed(key) }
      return texts
    }
    switch name {
    case "classification":
      kind = .classification(labels: try list("task.labels", 2...Int.max))
    case "regression": kind = .regression
    case "spans": kind = .spans
    default: throw malformed("task.kind")
    }
    guard let pooling = EncoderModel.Pooling(rawValue: metadata["task.pooling"] ?? "") else {
      throw malformed("task.pooling")
    }
    guard let length = Int(metadata["task.max-length"] ?? ""), (3...1 << 20).contains(length)
    else { throw malformed("task.max-length") }
    self.pooling = pooling
    maxLength = length
    isPair = metadata["task.pair"].flatMap(Bool.init)
    columns.label = metadata["task.label"]
    if metadata["task.texts"] != nil { columns.texts = try list("task.texts", 1...2) }
  }
}
