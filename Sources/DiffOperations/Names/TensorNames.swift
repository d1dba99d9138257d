import Checkpoints
import DiffFormat
import TensorCore

/// The tensors of a checkpoint, found by the names of a diff: '/' and '.' are the same separator,
/// and where nothing fits, a final ':0', as Keras writes it, does not count.
package struct TensorNames {
  // By bytes: as strings, different spellings of one accented letter are equal.
  private var exact: [[UInt8]: StoredTensor] = [:]
  private var folded: [[UInt8]: [StoredTensor]] = [:]
  private var bare: [[UInt8]: [StoredTensor]] = [:]
  private let map: NameMap
  private let checkpoint: any Checkpoint

  package init(_ checkpoint: any Checkpoint, _ map: NameMap = NameMap()) {
    self.map = map
    self.checkpoint = checkpoint
    for tensor in checkpoint.tensors {
      for name in [tensor.name] + tensor.aliases {
        exact[Array(name.utf8)] = tensor
        folded[Self.fold(name), default: []].append(tensor)
        bare[Self.bare(name), default: []].append(tensor)
      }
    }
  }

  /// The tensor of a name, or nil.
  ///
  /// - Throws: `mismatch` if the name fits several tensors and is none of theirs exactly.
  package func find(_ name: String) throws(DiffError) -> StoredTensor? {
    let mapped = map[name]
    if let tensor = exact[Array(mapped.utf8)] { return tensor }
    let candidates = folded[Self.fold(mapped)] ?? bare[Self.bare(mapped)] ?? []
    guard Set(candidates.map(\.name)).count <= 1 else {
      throw DiffError(
        .mismatch,
        "fits \(candidates.map { "'\($0.name)'" }.joined(separator: " and ")); rename one of them",
        tensor: name)
    }
    return candidates.first
  }

  /// Refuses names that are not in the checkpoint, with what might have been meant.
  func requireAll(_ missing: [String]) throws(DiffError) {
    let sorted = missing.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    guard let first = sorted.first else { return }
    var message = "is not in the checkpoint"
    if sorted.count > 1 {
      let more = sorted.count > 6 ? " and \(sorted.count - 6) more" : ""
      message += sorted.count == 2 ? ", nor is " : ", nor are "
      message += sorted[1...].prefix(5).joined(separator: ", ") + more
    }
    let close = CloseNames.closest(to: map[first], among: checkpoint.tensors.map(\.name))
    throw DiffError(
      .mismatch, message, path: checkpoint.path, tensor: first,
      remedy: close.map { .nameMap(closest: $0) })
  }

  /// The separator that a checkpoint has where a diff has the other one, told by pairs of names
  /// that match; nil if all are spelled alike.
  static func separator(_ pairs: [(diff: String, checkpoint: String)]) -> UInt8? {
    for pair in pairs {
      for (one, other) in zip(pair.diff.utf8, pair.checkpoint.utf8) where one != other {
        if separators.contains(one), separators.contains(other) { return other }
      }
    }
    return nil
  }

  private static let separators = [UInt8(ascii: "."), UInt8(ascii: "/")]

  /// A name with this separator, if any, throughout.
  static func name(_ name: String, separator: UInt8?) -> String {
    guard let separator else { return name }
    return String(
      decoding: fold(name).map { $0 == UInt8(ascii: "/") ? separator : $0 }, as: UTF8.self)
  }

  /// The name with one spelling of the separator, and without what Keras appends.
  private static func bare(_ name: String) -> [UInt8] {
    let folded = fold(name)
    return folded.suffix(2).elementsEqual(":0".utf8) ? folded.dropLast(2) : folded
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
