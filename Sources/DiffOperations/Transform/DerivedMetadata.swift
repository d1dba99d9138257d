import DiffFormat

extension DiffReader {
  /// The metadata for a diff that is made of this one: what its task is goes along with the head,
  /// what it is worth and how it was trained does not.
  func derivedMetadata(keepsHead: Bool = true) -> [String: String] {
    metadata.filter { key, _ in
      !key.hasPrefix("score.") && !key.hasPrefix("train.") && (keepsHead || !key.hasPrefix("task."))
    }
  }

  /// What the task is.
  var taskMetadata: [String: String] { metadata.filter { $0.key.hasPrefix("task.") } }
}

extension DiffOperation {
  /// Whether it is what training does to the head: anything but additions.
  var isOfHead: Bool { if case .add = self { false } else { true } }
}
