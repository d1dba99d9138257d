import Checkpoints
import DiffFormat
import TensorCore

extension Diffs {
  /// Returns notes on contents of the base that `apply` and `revert` leave unchanged though they
  /// may not fit the result: other weights of a folder, its configuration, attributes that list
  /// tensors.
  ///
  /// - Throws: the errors of `apply` for names.
  public static func notes(
    on diffs: [DiffReader], _ direction: Direction = .apply, to base: any Checkpoint,
    names: NameMap = NameMap()
  ) throws(DiffError) -> [String] {
    let changes = try TensorPlan.all(diffs, direction, on: base, names).compactMap(\.tableChange)
    var notes = try base.notes(onChanging: changes)
    guard base.format == .hdf5, changes.contains(where: \.changesNames) else { return notes }
    var left = Set(try CarriedAttributes(diffs, direction, on: base, names).foreign.map(\.name))
    // A diff that carries attributes carries all that change.
    if diffs.contains(where: \.attributes.isEmpty) {
      left.formUnion(try base.otherContents().compactMap(\.attribute).filter(\.listsTensors))
    }
    if !left.isEmpty {
      notes.append(
        "attributes are unchanged and may not fit the inserted or deleted tensors: "
          + left.sorted().joined(separator: ", "))
    }
    return notes
  }
}

extension TableChange {
  /// True if a tensor is inserted or deleted.
  fileprivate var changesNames: Bool { if case .reshape = self { false } else { true } }
}

extension String {
  /// True if this is the name of an attribute in which Keras lists the tensors of a model.
  fileprivate var listsTensors: Bool {
    hasPrefix("layer_names") || hasPrefix("weight_names") || hasPrefix("model_config")
  }
}
