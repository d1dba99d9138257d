import DiffFormat
import TensorCore

/// The attributes of tensors that a diff derived from others keeps or leaves out.
public struct KeptAttributes: Sendable, Hashable {
  /// The attribute changes that hold for the new diff.
  public var carried: [AttributeChange] = []
  /// The attribute changes that may not hold for it, and so are left out.
  public var leftOut: [AttributeChange] = []

  /// Creates an empty set.
  public init() {}

  /// Selects the attributes of a diff some of whose entries are taken, with all of their changes.
  ///
  /// An attribute belongs to the inserted, deleted and reshaped tensors of its object or, if there
  /// are none, to all such tensors. It is carried if all of these are taken, and dropped silently
  /// if none is.
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

  /// Combines the attributes of several diffs on one base; those on which they differ are left out.
  init(merging all: [KeptAttributes]) {
    var first: [AttributeKey: AttributeChange] = [:]
    var disputed = Set(all.flatMap(\.leftOut).map(AttributeKey.init))
    for change in all.flatMap(\.carried) {
      if let other = first.updateValue(change, forKey: AttributeKey(change)), other != change {
        disputed.insert(AttributeKey(change))
      }
    }
    for change in all.flatMap(\.leftOut) { first[AttributeKey(change)] = change }
    for (key, change) in first {
      if disputed.contains(key) { leftOut.append(change) } else { carried.append(change) }
    }
    sort()
  }

  /// Combines the attributes of several diffs, applied in order.
  init(composing diffs: [DiffReader]) {
    var all: [AttributeKey: AttributeChange] = [:]
    var broken: Set<AttributeKey> = []
    for change in diffs.flatMap(\.attributes) {
      let key = AttributeKey(change)
      if let before = all[key] {
        if before.new != change.old { broken.insert(key) }
        all[key]?.new = change.new
      } else {
        all[key] = change
      }
    }
    for (key, change) in all {
      if broken.contains(key) {
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

  /// The identity of an attribute in a file.
  private struct AttributeKey: Hashable {
    let object, name: TensorName

    init(_ change: AttributeChange) {
      object = change.object
      name = TensorName(change.name)
    }
  }
}

extension DiffEntry {
  /// True if the tensor is inserted, deleted or reshaped.
  fileprivate var changesTable: Bool {
    switch operation {
    case .insert, .delete, .reshape: true
    case .add, .replace, .xor: false
    }
  }
}
