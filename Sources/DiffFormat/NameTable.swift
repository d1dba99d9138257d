import TensorCore

/// Values by the names of tensors, matched as specified by `spec/FORMAT.md`, section 8: the exact
/// name first, then names that differ in separators only, then names that also differ in a final
/// ':0'.
package final class NameTable<Value: Sendable>: Sendable {
  private let exact: [TensorName: Value]
  /// By the names without regard to separators and ':0'.
  private let similar: [TensorName.Key: [(name: TensorName, value: Value)]]

  /// Creates a table of names and values. O(length of all names).
  package init(_ rows: some Collection<(name: TensorName, value: Value)>) {
    exact = Dictionary(rows.lazy.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
    similar = Dictionary(grouping: rows) { $0.name.key.bare }
  }

  /// The values that match a name; several if it is ambiguous. O(length + values).
  package subscript(name: TensorName) -> [Value] {
    if let value = exact[name] { return [value] }
    let key = name.key
    let candidates = similar[key.bare] ?? []
    let respelled = candidates.filter { $0.name.key == key }
    return (respelled.isEmpty ? candidates : respelled).map(\.value)
  }
}
