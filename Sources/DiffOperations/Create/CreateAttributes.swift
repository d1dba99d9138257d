import Checkpoints
import TensorCore

/// The differences of two checkpoints other than in tensors: the attributes that a diff carries,
/// and the rest.
struct AttributeDifferences {
  var carried: [AttributeChange] = []
  var notCarried: [SkippedObject] = []

  /// - Parameter pairs: the tensors. Attributes depend on names and shapes, and are carried only if
  ///   these change. If the tensors have other names in the base, attributes are carried only if
  ///   the names differ only in their group and no tensor is inserted. Attributes of optimizer
  ///   state are included together with it.
  init(
    from base: any Checkpoint, to tuned: any Checkpoint, _ pairs: [TensorPair],
    _ options: CreateOptions
  ) throws(DiffError) {
    let changesTable = pairs.contains { $0.base == nil || $0.tuned == nil || $0.isReshape }
    guard base.format != nil, base.container == tuned.container else {
      let changesNames = pairs.contains { $0.base == nil || $0.tuned == nil }
      if changesTable {
        notCarried = try Self.models(in: [base, tuned], changingNames: changesNames)
      }
      return
    }
    let before = try base.otherContents(withWeights: false)
    var after = try tuned.otherContents(withWeights: false)
    let common = pairs.compactMap { pair in
      pair.base.flatMap { base in pair.tuned.map { ($0.name, base.name) } }
    }
    let areRenamed = !options.names.isEmpty && common.contains { $0.key.bare != $1.key.bare }
    // An inserted tensor keeps its own name, and so is not in the group of the base.
    let move = pairs.contains { $0.base == nil } ? nil : GroupMove(common)
    if areRenamed, let move {
      for index in after.indices {
        guard let name = move(after[index].name) else { continue }
        after[index].name = name == "" ? "/" : name
      }
    }
    let old = Self.values(before)
    let new = Self.values(after)
    let skipped = Set((base.skipped + tuned.skipped).map(\.name))
    for other in compareOthers(before, after) where other.state != .equal {
      guard options.includesOptimizer || !other.name.isOfOptimizer else { continue }
      let key = Key(object: other.name, name: TensorName(other.attribute ?? ""))
      // Texts that are equal differ in their datatype, which is not carried.
      let isKnown =
        other.attribute != nil && (old[key] != nil || other.state == .onlyInSecond)
        && (new[key] != nil || other.state == .onlyInFirst) && old[key] != new[key]
      let isOfTensors = !areRenamed || move?.reaches(other.name) == true
      if changesTable, isKnown, isOfTensors, base.format == .hdf5 {
        carried.append(
          AttributeChange(
            object: other.name == "/" ? "" : other.name, name: other.attribute ?? "",
            old: old[key], new: new[key]))
      } else if !skipped.contains(other.name) {
        let name = other.attribute.map { "\(other.name), attribute '\($0)'" }
        notCarried.append(
          SkippedObject(
            name: TensorName(name ?? other.name.description),
            reason: name == nil ? "\(other.kind) that differs" : "differs"))
      }
    }
  }

  /// Returns the attributes that describe the tensors of a model and have no counterpart in the
  /// other of two formats.
  private static func models(
    in checkpoints: [any Checkpoint], changingNames: Bool
  ) throws(DiffError) -> [SkippedObject] {
    var models: [SkippedObject] = []
    for checkpoint in checkpoints where checkpoint.format == .hdf5 {
      for content in try checkpoint.otherContents(withWeights: false) {
        guard let name = content.attribute,
          changingNames ? name.describesTensors : name.describesShapes
        else { continue }
        models.append(
          SkippedObject(
            name: TensorName("\(content.name), attribute '\(name)'"),
            reason: "describes tensors of \(checkpoint.path); the other format has no attributes"))
      }
    }
    return models
  }

  private struct Key: Hashable {
    let object, name: TensorName
  }

  private static func values(_ contents: [OtherContent]) -> [Key: AttributeValue] {
    var values: [Key: AttributeValue] = [:]
    for content in contents {
      guard let name = content.attribute, let value = content.value else { continue }
      values[Key(object: content.name, name: TensorName(name))] = value
    }
    return values
  }
}

extension TensorName {
  /// True if this is the group of optimizer state, or an object in it.
  fileprivate var isOfOptimizer: Bool {
    parts.first == "optimizer_weights" || parts.starts(with: ["optimizer", "vars"])
  }
}
