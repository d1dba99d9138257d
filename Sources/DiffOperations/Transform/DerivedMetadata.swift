import DiffFormat

extension DiffReader {
  /// Returns the metadata for a diff derived from this one: the task is kept with the head, scores
  /// and training are not.
  func derivedMetadata(keepsHead: Bool = true) -> [String: String] {
    metadata.filter { key, _ in
      !key.hasPrefix("score.") && !key.hasPrefix("train.") && (keepsHead || !key.hasPrefix("task."))
    }
  }

  /// The metadata of the task.
  var taskMetadata: [String: String] { metadata.filter { $0.key.hasPrefix("task.") } }
}

extension DiffOperation {
  /// True if the operation is one that training applies to the head: any but `add`.
  var isOfHead: Bool { if case .add = self { false } else { true } }
}
