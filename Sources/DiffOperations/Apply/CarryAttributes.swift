import Checkpoints
import DiffFormat
import TensorCore

/// What becomes of the attributes of a base by diffs that take some along.
struct CarriedAttributes {
  /// The changes to be made, in order.
  var changes: [AttributeChange] = []
  /// Those of which the base has something else than the diffs expect: they are left alone.
  var foreign: [AttributeChange] = []

  init(_ diffs: [DiffReader], _ direction: Direction, on base: any Checkpoint) throws(DiffError) {
    try self.init(DiffStep.all(diffs, direction), on: base)
  }

  init(_ steps: [DiffStep], on base: any Checkpoint) throws(DiffError) {
    let all = steps.flatMap { step in
      step.direction == .apply ? step.diff.attributes : step.diff.attributes.map(\.reversed)
    }
    guard !all.isEmpty else { return }
    var values: [Place: AttributeValue] = [:]
    for content in try base.otherContents() {
      guard let name = content.attribute else { continue }
      // One that is no text is none that a diff knows.
      let object = content.name == "/" ? "" : content.name
      values[Place(object: object, name: TensorName(name))] =
        content.value ?? AttributeValue([], isList: false)
    }
    for change in all {
      let place = Place(object: change.object, name: TensorName(change.name))
      if values[place] == change.old {
        values[place] = change.new
        changes.append(change)
      } else if values[place] != change.new {
        foreign.append(change)
      }
    }
  }

  private struct Place: Hashable {
    let object, name: TensorName
  }
}
