import StrictJSON
import SystemSupport
import TensorCore

extension SafeTensorsFolder {
  /// Returns notes about other weights in the folder, and about numbers of its configuration that
  /// equal an extent that changes.
  public func notes(onChanging changes: [TableChange]) throws(DiffError) -> [String] {
    var notes: [String] = []
    if let first = otherWeights.first {
      let more = otherWeights.count > 1 ? " and \(otherWeights.count - 1) more" : ""
      notes.append("other weights in the folder are copied unchanged: \(first)\(more)")
    }
    let path = "\(folder)/config.json"
    guard !changes.isEmpty, replaced["config.json"] == nil, File.isRegular(path) else {
      return notes
    }
    // A configuration that cannot be parsed is copied, too.
    let configuration = try? File.parse(path, limit: 1 << 24) { bytes throws(DiffError) in
      try JSONValue(parsing: bytes)
    }
    let stale = configuration.map { staleNumbers(of: $0, changes) } ?? []
    notes.append(
      "config.json is copied unchanged, but tensors are inserted, deleted or reshaped"
        + (stale.isEmpty ? "" : ": \(stale.joined(separator: ", "))"))
    return notes
  }

  /// Returns the numbers of a configuration that equal an extent before a change and not after it.
  private func staleNumbers(
    of configuration: JSONValue, _ changes: [TableChange]
  ) -> [String] {
    var found: [String] = []
    for case .reshape(let name, let shape) in changes {
      guard let old = tensors.first(where: { $0.name == name })?.shape.extents else { continue }
      for (before, after) in zip(old, shape.extents) where before != after {
        for member in configuration.members ?? [] where member.value.unsigned == before {
          found.append("\(member.name) is \(before), but \(name) now has \(after)")
        }
      }
    }
    return Array(Set(found)).sorted()
  }
}
