import Checkpoints
import DiffFormat
import TensorCore

/// Looks up tensors of a checkpoint by the names of a diff.
package struct TensorNames {
  private let tensors: NameTable<StoredTensor>
  private let map: NameMap
  private let checkpoint: any Checkpoint

  package init(_ checkpoint: any Checkpoint, _ map: NameMap = NameMap()) {
    self.map = map
    self.checkpoint = checkpoint
    tensors = NameTable(
      checkpoint.tensors.flatMap { tensor in
        ([tensor.name] + tensor.aliases).map { ($0, tensor) }
      })
  }

  /// Returns the tensor with a name, or nil.
  ///
  /// - Throws: `mismatch` if the name matches several tensors and none exactly.
  package func find(_ name: TensorName) throws(DiffError) -> StoredTensor? {
    let candidates = tensors[map[name]]
    guard Set(candidates.map(\.name)).count <= 1 else {
      throw DiffError(
        .mismatch,
        "matches \(candidates.map { "'\($0.name)'" }.joined(separator: " and ")); "
          + "rename one of them",
        tensor: name)
    }
    return candidates.first
  }

  /// Refuses names that are not in the checkpoint, suggesting the closest one.
  func requireAll(_ missing: [TensorName]) throws(DiffError) {
    let sorted = missing.sorted()
    guard let first = sorted.first else { return }
    var message = "is not in the checkpoint"
    if sorted.count > 1 {
      let more = sorted.count > 6 ? " and \(sorted.count - 6) more" : ""
      message += sorted.count == 2 ? ", nor is " : ", nor are "
      message += sorted[1...].prefix(5).map(\.description).joined(separator: ", ") + more
    }
    let close = CloseNames.closest(to: map[first], among: checkpoint.tensors.map(\.name))
    throw DiffError(
      .mismatch, message, path: checkpoint.path, tensor: first,
      remedy: close.map { .nameMap(closest: $0) })
  }

  /// Returns the separator of a checkpoint's names if the diff's have the other one, found from
  /// pairs of matching names; nil if all are spelled alike.
  static func separator(_ pairs: [(diff: TensorName, checkpoint: TensorName)]) -> UInt8? {
    for pair in pairs {
      for (one, other) in zip(pair.diff.utf8, pair.checkpoint.utf8) where one != other {
        if separators.contains(one), separators.contains(other) { return other }
      }
    }
    return nil
  }

  private static let separators = [UInt8(ascii: "."), UInt8(ascii: "/")]
}

extension DiffReader {
  /// Returns the error of two names that are equal to `TensorNames`.
  func ambiguous(_ name: TensorName, _ other: TensorName) -> DiffError {
    DiffError(
      .mismatch, "differs from '\(other)' in the separator only; the diff is ambiguous",
      path: path, tensor: name)
  }

  /// Refuses a diff with two names that are equal to `TensorNames`.
  func checkNames() throws(DiffError) {
    var seen: [TensorName.Key: TensorName] = [:]
    for entry in self {
      if let other = seen.updateValue(entry.name, forKey: entry.name.key) {
        throw ambiguous(entry.name, other)
      }
    }
  }
}
