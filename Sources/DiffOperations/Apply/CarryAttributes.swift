import Checkpoints
import DiffFormat
import TensorCore

/// Makes the attributes of an output what diffs make of those of the base, where the base has them as
/// a diff expects.
func carryAttributes(
  of diffs: [DiffReader], _ direction: Direction, from base: any Checkpoint,
  to output: any CheckpointOutput
) throws(DiffError) {
  let changes = (direction == .apply ? diffs : diffs.reversed()).flatMap { diff in
    direction == .apply ? diff.attributes : diff.attributes.map(\.reversed)
  }
  guard output.holdsAttributes, !changes.isEmpty else { return }
  var values: [AttributePlace: AttributeValue] = [:]
  for content in try base.otherContents() {
    guard let name = content.attribute else { continue }
    // One that is no text is none that a diff knows.
    values[AttributePlace(object: content.name == "/" ? "" : content.name, name: name)] =
      content.value ?? AttributeValue([], isList: false)
  }
  for change in changes {
    let place = AttributePlace(object: change.object, name: change.name)
    guard values[place] == change.old else { continue }
    values[place] = change.new
    try output.setAttribute(change)
  }
}

private struct AttributePlace: Hashable {
  let object: TensorName
  let name: String
}
