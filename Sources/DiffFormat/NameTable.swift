import TensorCore

/// Values by the names of tensors, matched as `spec/FORMAT.md`, section 8, says: the name itself
/// comes first, then what differs from it in separators alone, then what has a final ':0' more or
/// less.
package final class NameTable<Value: Sendable>: Sendable {
  private let exact: [TensorName: Value]
  /// By what is left of the names where neither separators nor ':0' count.
  private let similar: [TensorName.Key: [(name: TensorName, value: Value)]]

  /// A table of names and values. O(length of all names).
  package init(_ rows: some Collection<(name: TensorName, value: Value)>) {
    exact = Dictionary(rows.lazy.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    similar = Dictionary(grouping: rows) { $0.name.key.bare }
  }

  /// What a name stands for: several values if it does not tell which. O(length + values).
  package subscript(name: TensorName) -> [Value] {
    if let value = exact[name] { return [value] }
    let key = name.key
    let candidates = similar[key.bare] ?? []
    let respelled = candidates.filter { $0.name.key == key }
    return (respelled.isEmpty ? candidates : respelled).map(\.value)
  }
}
