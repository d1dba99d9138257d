import Checkpoints
import SystemSupport
import TensorCore

extension Checkpoint {
  /// The format, and whether the checkpoint is a folder. Contents other than tensors are compared
  /// only if this is equal.
  var container: String {
    let isFolder = Folder.exists(path) || files.first.map { $0 != path } ?? false
    return (format?.rawValue ?? "") + (isFolder ? " folder" : "")
  }
}

/// Compares the contents of two checkpoints other than tensors, in the order of the names.
func compareOthers(
  _ first: [OtherContent], _ second: [OtherContent]
) -> [CheckpointComparison.Other] {
  struct Key: Hashable, Comparable {
    let name: TensorName
    let attribute: TensorName

    init(_ content: OtherContent) {
      name = content.name
      attribute = TensorName(content.attribute.map { "@" + $0 } ?? "")
    }

    static func < (one: Key, other: Key) -> Bool {
      one.name == other.name ? one.attribute < other.attribute : one.name < other.name
    }
  }
  var found: [Key: (first: OtherContent?, second: OtherContent?)] = [:]
  for content in first { found[Key(content), default: (nil, nil)].first = content }
  for content in second { found[Key(content), default: (nil, nil)].second = content }
  return found.sorted { $0.key < $1.key }.compactMap { _, pair in
    let (one, other) = pair
    guard let shown = one ?? other else { return nil }
    return CheckpointComparison.Other(
      name: shown.name, attribute: shown.attribute, kind: shown.kind, state: state(one, other))
  }
}

private func state(
  _ one: OtherContent?, _ other: OtherContent?
) -> CheckpointComparison.Other.State {
  guard let one else { return .onlyInSecond }
  guard let other else { return .onlyInFirst }
  guard one.kind == other.kind else { return .different }
  guard let digest = one.digest, let otherDigest = other.digest else { return .notCompared }
  return digest == otherDigest ? .equal : .different
}

/// Returns the objects, other than tensors, of one of two checkpoints of different formats.
func skippedOthers(
  _ skipped: [SkippedObject], _ state: CheckpointComparison.Other.State
) -> [CheckpointComparison.Other] {
  skipped.map {
    CheckpointComparison.Other(
      name: $0.name, kind: $0.reason, state: state, mayHoldNumbers: $0.mayHoldNumbers)
  }
}
