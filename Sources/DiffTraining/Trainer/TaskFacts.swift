import StrictJSON
import TensorCore

/// What a diff must say for its task to be run again: beside the changes, which the diff holds.
/// Stored in the diff's metadata under keys that begin with `task.`.
public struct TaskFacts: Sendable, Hashable {
  /// What is predicted.
  public var kind: TaskDescription.Kind
  /// What stands for a whole text.
  public var pooling: EncoderModel.Pooling
  /// The most tokens of a text.
  public var maxLength: Int
  /// Whether each example has two texts; nil if the diff does not say.
  public var isPair: Bool?

  /// A task.
  public init(
    kind: TaskDescription.Kind, pooling: EncoderModel.Pooling, maxLength: Int,
    isPair: Bool? = nil
  ) {
    self.kind = kind
    self.pooling = pooling
    self.maxLength = maxLength
    self.isPair = isPair
  }

  /// Refuses data that have two texts where the task has one, or one where it has two.
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

  /// The classes, in the order of the head's outputs; none if something else is predicted.
  public var labels: [String] {
    if case .classification(let labels) = kind { labels } else { [] }
  }

  /// As metadata of a diff.
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
    return metadata
  }

  /// Reads the metadata of a diff, at this path if it has one.
  ///
  /// - Throws: `mismatch` if it is not one of a task, `malformed` if it makes no sense.
  public init(_ metadata: [String: String], path: String? = nil) throws(DiffError) {
    guard let name = metadata["task.kind"] else {
      throw DiffError(
        .mismatch, "says nothing of a task: it was not made by 'diffkit train'", path: path)
    }
    func malformed(_ key: String) -> DiffError {
      DiffError(.malformed, "the metadata '\(key)' makes no sense", path: path)
    }
    switch name {
    case "classification":
      let text = metadata["task.labels"] ?? ""
      let list = (try? JSONValue(parsing: Array(text.utf8)))?.elements ?? []
      let labels = list.compactMap(\.text)
      guard labels.count == list.count, labels.count > 1 else {
        throw malformed("task.labels")
      }
      kind = .classification(labels: labels)
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
  }
}
