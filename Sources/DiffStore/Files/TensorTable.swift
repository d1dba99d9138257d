import Checkpoints
import DiffFormat
import DiffOperations
import StrictJSON
import SystemSupport
import TensorCore

/// The fingerprints of the tensors of a version, by the keys of their names.
struct TensorTable: Sendable, Equatable {
  private var rows: [TensorName.Key: (name: TensorName, fingerprint: Fingerprint)] = [:]

  init(_ tensors: some Sequence<(name: TensorName, fingerprint: Fingerprint)> = []) {
    for tensor in tensors { self[tensor.name] = tensor.fingerprint }
  }

  static func == (one: Self, other: Self) -> Bool {
    one.rows.count == other.rows.count
      && one.rows.allSatisfy { other.rows[$0.key]?.fingerprint == $0.value.fingerprint }
  }

  var count: Int { rows.count }

  var names: [TensorName] { rows.values.map(\.name) }

  /// The fingerprint of a tensor; nil if there is no tensor of the name.
  subscript(name: TensorName) -> Fingerprint? {
    get { rows[name.key.bare]?.fingerprint }
    set {
      let key = name.key.bare
      rows[key] = newValue.map { (rows[key]?.name ?? name, $0) }
    }
  }

  /// The fingerprint of the checkpoint that has these tensors.
  var fingerprint: Fingerprint? { .ofCheckpoint(rows.values) }

  /// Applies a diff to the table. Optimizer state is ignored.
  ///
  /// - Throws: `mismatch` if a tensor is not the one that the diff was made for, or `unsupported`
  ///   if the diff lacks a fingerprint of it.
  mutating func take(_ diff: DiffReader, _ direction: Direction = .apply) throws(DiffError) {
    for entry in diff where !entry.name.isOptimizerState {
      let (before, after) =
        direction == .apply ? (entry.base, entry.result) : (entry.result, entry.base)
      let (comes, goes): (Bool, Bool) =
        switch (entry.operation, direction) {
        case (.insert, .apply), (.delete, .revert): (true, false)
        case (.delete, .apply), (.insert, .revert): (false, true)
        default: (false, false)
        }
      guard comes || before != nil, goes || after != nil else {
        throw DiffError(
          .unsupported, "has no fingerprint of the tensor before or after", path: diff.path,
          tensor: entry.name)
      }
      guard self[entry.name] == (comes ? nil : before) else {
        throw DiffError(
          .mismatch, "is not the tensor that the diff was made for", path: diff.path,
          tensor: entry.name)
      }
      self[entry.name] = goes ? nil : after
    }
  }

  // MARK: Text

  /// The maximum size of a table in bytes.
  static let sizeLimit: UInt64 = 256 << 20

  var text: String {
    let members = rows.values.sorted { $0.name < $1.name }.map {
      JSONValue.Member($0.name.description, .string($0.fingerprint.description))
    }
    return JSONValue.object([.init("tensors", .object(members))]).compact + "\n"
  }

  /// Reads the table in a file; returns nil if there is no valid one.
  init?(contentsOf path: String) {
    let json = try? File.parse(path, limit: Self.sizeLimit) { bytes throws(DiffError) in
      try JSONValue(parsing: bytes)
    }
    guard let members = json?["tensors"]?.members else { return nil }
    for member in members {
      guard let fingerprint = member.value.text.flatMap({ Fingerprint($0) }) else { return nil }
      let name = TensorName(member.name)
      guard self.rows[name.key.bare] == nil else { return nil }
      self[name] = fingerprint
    }
  }
}
