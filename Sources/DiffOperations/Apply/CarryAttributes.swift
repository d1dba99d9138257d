import Checkpoints
import DiffFormat
import TensorCore

/// The changes to attributes of a base by diffs that carry some.
struct CarriedAttributes {
  /// The changes to make, in order.
  var changes: [AttributeChange] = []
  /// The changes of attributes that have another value in the base than the diffs expect, which are
  /// not made.
  var foreign: [AttributeChange] = []

  init(
    _ diffs: [DiffReader], _ direction: Direction, on base: any Checkpoint, _ names: NameMap
  ) throws(DiffError) {
    try self.init(DiffStep.all(diffs, direction), on: base, names)
  }

  /// - Parameter names: maps names in the diffs to names in the base. If the tensors are in another
  ///   group there, so are the attributes.
  init(
    _ steps: [DiffStep], on base: any Checkpoint, _ names: NameMap = NameMap()
  ) throws(DiffError) {
    var all: [AttributeChange] = []
    for step in steps where !step.diff.attributes.isEmpty {
      let move = GroupMove(step.diff.map { ($0.name, names[$0.name]) })
      for change in step.diff.attributes {
        var change = step.direction == .apply ? change : change.reversed
        change.object = move?(change.object) ?? change.object
        all.append(change)
      }
    }
    guard !all.isEmpty else { return }
    var values: [AttributeKey: AttributeValue] = [:]
    for content in try base.otherContents() {
      guard let name = content.attribute else { continue }
      // A value that is not text equals none of a diff.
      let object = content.name == "/" ? "" : content.name
      values[AttributeKey(object: object, name: TensorName(name))] =
        content.value ?? AttributeValue([], isList: false)
    }
    for change in all {
      let key = AttributeKey(object: change.object, name: TensorName(change.name))
      if values[key] == change.old {
        values[key] = change.new
        changes.append(change)
      } else if values[key] != change.new {
        foreign.append(change)
      }
    }
  }

  private struct AttributeKey: Hashable {
    let object, name: TensorName
  }
}
