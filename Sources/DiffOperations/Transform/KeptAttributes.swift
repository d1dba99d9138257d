import DiffFormat
import TensorCore

/// What becomes of attributes that go with tensors in a diff that is made of others.
public struct KeptAttributes: Sendable, Hashable {
  /// Those that are true of the new diff.
  public var carried: [AttributeChange] = []
  /// Those that may be true of it or not, and so are left out.
  public var leftOut: [AttributeChange] = []

  /// None.
  public init() {}

  /// Those of a diff of which some entries are taken, with all of their changes.
  ///
  /// An attribute belongs to the tensors of its object that come, go or change their shape, and if
  /// there are none, to all that do. It is true if all of these are taken, and of no concern if none
  /// is.
  init(_ diff: DiffReader, taking isTaken: (DiffEntry) -> Bool) {
    guard !diff.attributes.isEmpty else { return }
    let changing = diff.filter(\.changesTable)
    for change in diff.attributes {
      let parts = change.object.parts
      let below = changing.filter { $0.name.parts.starts(with: parts) }
      let concerned = below.isEmpty ? changing : below
      if concerned.allSatisfy(isTaken) {
        carried.append(change)
      } else if concerned.contains(where: isTaken) {
        leftOut.append(change)
      }
    }
  }

  /// Those of several diffs on one base: where they differ, no one is true of the sum.
  init(merging all: [KeptAttributes]) {
    var first: [Place: AttributeChange] = [:]
    var disputed = Set(all.flatMap(\.leftOut).map(Place.init))
    for change in all.flatMap(\.carried) {
      if let other = first.updateValue(change, forKey: Place(change)), other != change {
        disputed.insert(Place(change))
      }
    }
    for change in all.flatMap(\.leftOut) { first[Place(change)] = change }
    for (place, change) in first {
      if disputed.contains(place) { leftOut.append(change) } else { carried.append(change) }
    }
    sort()
  }

  /// Those of several diffs in order.
  init(composing diffs: [DiffReader]) {
    var all: [Place: AttributeChange] = [:]
    var broken: Set<Place> = []
    for change in diffs.flatMap(\.attributes) {
      let place = Place(change)
      if let before = all[place] {
        if before.new != change.old { broken.insert(place) }
        all[place]?.new = change.new
      } else {
        all[place] = change
      }
    }
    for (place, change) in all {
      if broken.contains(place) {
        leftOut.append(change)
      } else if change.old != change.new {
        carried.append(change)
      }
    }
    sort()
  }

  private mutating func sort() {
    func comesBefore(_ one: AttributeChange, _ other: AttributeChange) -> Bool {
      (one.object, TensorName(one.name)) < (other.object, TensorName(other.name))
    }
    carried.sort(by: comesBefore)
    leftOut.sort(by: comesBefore)
  }

  /// Which attribute of a file it is.
  private struct Place: Hashable {
    let object, name: TensorName

    init(_ change: AttributeChange) {
      object = change.object
      name = TensorName(change.name)
    }
  }
}

extension DiffEntry {
  /// Whether a tensor comes, goes or gets another shape.
  fileprivate var changesTable: Bool {
    switch operation {
    case .insert, .delete, .reshape: true
    case .add, .replace, .xor: false
    }
  }
}
