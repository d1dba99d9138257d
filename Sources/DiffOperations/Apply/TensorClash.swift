import DiffFormat
import TensorCore

extension TensorPlan {
  /// True if several diffs insert or reshape the tensor.
  var clashes: Bool {
    entries.count > 1 && (entries.allSatisfy(\.inserts) || entries.contains(where: \.isReshape))
  }

  /// True if each entry was made on the result of the one before.
  fileprivate var isChain: Bool {
    zip(entries, entries.dropFirst()).allSatisfy { $0.after != nil && $0.after == $1.before }
  }

  /// The changes of the diffs to the tensor, for messages.
  fileprivate var changes: String {
    entries.map { entry in
      "\(entry.inserts ? "a new tensor " : entry.isReshape ? "" : "unchanged in shape, ")"
        + "\(entry.shapeAfter) in '\(entry.reader.path ?? "a diff")'"
    }.joined(separator: ", ")
  }
}

extension [TensorPlan] {
  /// Returns the error of tensors that clash, naming three at most; nil if there are none.
  func clash(on path: String) -> DiffError? {
    guard let first else { return nil }
    var message = "becomes " + first.changes
    if count > 1 {
      let names = dropFirst().prefix(2).map { "'\($0.name)'" }.joined(separator: ", ")
      message += " (likewise \(names)\(count > 3 ? " and \(count - 3) more" : ""))"
    }
    var error = DiffError(.unsupported, message, path: path, tensor: first.name)
    if allSatisfy(\.isChain) {
      error.message += "; apply the diffs one after the other"
    } else if !first.entries[0].isReversed {
      error.remedy = remedy
    }
    return error
  }

  /// The remedy for tensors that clash since their diffs were made on one base.
  private var remedy: Remedy {
    let entries = flatMap(\.entries)
    guard entries.allSatisfy({ $0.reader.allSatisfy(\.isMergeable) }) else { return .leaveOut }
    return entries.contains(where: \.isReshape) ? .mergeRowsFirst : .mergeFirst
  }
}

extension DiffEntry {
  /// True if `merge` can combine the entry with others.
  fileprivate var isMergeable: Bool {
    switch operation {
    case .add, .insert, .delete: true
    case .reshape(let new):
      type.float != nil && !shape.extents.isEmpty
        && new.extents.dropFirst() == shape.extents.dropFirst()
    case .xor, .replace: false
    }
  }
}
