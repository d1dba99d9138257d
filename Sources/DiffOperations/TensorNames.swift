import Checkpoints
import DiffFormat
import TensorCore

/// The tensors of a checkpoint, found by the names of a diff: '/' and '.' are the same separator.
struct TensorNames {
  // By bytes: as strings, different spellings of one accented letter are equal.
  private var exact: [[UInt8]: StoredTensor] = [:]
  private var folded: [[UInt8]: [StoredTensor]] = [:]

  init(_ checkpoint: any Checkpoint) {
    for tensor in checkpoint.tensors {
      for name in [tensor.name] + tensor.aliases {
        exact[Array(name.utf8)] = tensor
        folded[Self.fold(name), default: []].append(tensor)
      }
    }
  }

  /// The tensor of a name, or nil.
  ///
  /// - Throws: `mismatch` if the name fits several tensors and is none of theirs exactly.
  func find(_ name: String) throws(DiffError) -> StoredTensor? {
    if let tensor = exact[Array(name.utf8)] { return tensor }
    let candidates = folded[Self.fold(name)] ?? []
    guard Set(candidates.map(\.name)).count <= 1 else {
      throw DiffError(
        .mismatch,
        "fits \(candidates.map { "'\($0.name)'" }.joined(separator: " and ")); rename one of them",
        tensor: name)
    }
    return candidates.first
  }

  /// The name with one spelling of the separator.
  static func fold(_ name: String) -> [UInt8] {
    name.utf8.map { $0 == UInt8(ascii: ".") ? UInt8(ascii: "/") : $0 }
  }
}

extension DiffReader {
  /// Refuses a diff two of whose names are the same to `TensorNames`.
  func checkNames() throws(DiffError) {
    var seen: [[UInt8]: String] = [:]
    for entry in self {
      if let other = seen.updateValue(entry.name, forKey: TensorNames.fold(entry.name)) {
        throw DiffError(
          .mismatch, "differs from '\(other)' in the separator only; the diff is ambiguous",
          path: path, tensor: entry.name)
      }
    }
  }
}
