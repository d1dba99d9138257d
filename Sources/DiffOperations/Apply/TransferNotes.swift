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
    guard base.format == .hdf5, !changes.isEmpty else { return notes }
    var left = Set(try CarriedAttributes(diffs, direction, on: base, names).foreign.map(\.name))
    // A diff that carries attributes carries all that change.
    if diffs.contains(where: \.attributes.isEmpty) {
      // A reshaped tensor keeps its name.
      let changesNames = changes.contains(where: \.changesNames)
      left.formUnion(
        try base.otherContents(withWeights: false).compactMap(\.attribute).filter {
          changesNames ? $0.describesTensors : $0.describesShapes
        })
    }
    if !left.isEmpty {
      notes.append(
        "attributes are unchanged and may not fit the inserted, deleted or reshaped tensors: "
          + left.sorted().joined(separator: ", "))
    }
    return notes
  }
}

extension Diffs {
  /// A line for diffs that hold the same additions as another one: they are summed as often.
  ///
  /// - Complexity: O(entries), and O(changes) of diffs whose entries are alike.
  public static func notes(onRepeated diffs: [DiffReader]) throws(DiffError) -> [String] {
    var alike: [[EntryOutline]: [DiffReader]] = [:]
    for diff in diffs where diffs.count > 1 && diff.contains(where: \.isAddition) {
      alike[diff.map(EntryOutline.init), default: []].append(diff)
    }
    var same: [Fingerprint: [DiffReader]] = [:]
    for group in alike.values where group.count > 1 {
      for diff in group { same[try diff.contentsIdentity(), default: []].append(diff) }
    }
    return same.values.filter { $0.count > 1 }.map { group in
      let paths = group.map { "'\($0.path ?? "-")'" }.joined(separator: " and ")
      return "\(paths) hold the same additions, which count \(group.count) times"
    }.sorted()
  }
}

/// What two entries have in common that make the same changes, without a look at those.
private struct EntryOutline: Hashable {
  let key: TensorName.Key
  let count: UInt64
  let result: Fingerprint?

  init(_ entry: DiffEntry) {
    key = entry.name.key
    count = entry.count
    result = entry.result
  }
}

extension TableChange {
  /// True if a tensor is inserted or deleted.
  fileprivate var changesNames: Bool { if case .reshape = self { false } else { true } }
}

extension String {
  /// True if this is the name of an attribute in which Keras lists or describes the tensors of a
  /// model.
  var describesTensors: Bool {
    hasPrefix("layer_names") || hasPrefix("weight_names") || describesShapes
  }

  /// True if this is the name of the attribute in which Keras describes the layers of a model.
  var describesShapes: Bool { hasPrefix("model_config") }
}
