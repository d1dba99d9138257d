import DiffFormat
import TensorCore

/// What a diff adds to one tensor, as numbers.
struct AdditiveReader: Sendable {
  let diff: DiffReader
  let entry: DiffEntry
  /// The type of the stored values, each of which counts times 2^scale.
  let type: FloatType
  let scale: Int

  /// Nil for an entry that is no addition.
  init?(_ entry: DiffEntry, of diff: DiffReader) {
    guard case .add(let type, let scale) = entry.operation else { return nil }
    self.diff = diff
    self.entry = entry
    self.type = type
    self.scale = scale
  }

  var pages: [PageInfo] { entry.pages[.changes] ?? [] }

  /// Calls `body` with the changes of each page as they are stored, and their numbers.
  func forEachPage(
    _ body: (ChangeView<UInt8>, [Double]) throws(DiffError) -> Void
  ) throws(DiffError) {
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      try body(changes, changes.numbers(type, scale: scale))
    }
  }
}

extension DiffReader {
  /// The additions of a diff that holds nothing else but whole tensors.
  ///
  /// - Throws: `unsupported` for exact changes, saying that they cannot be `done`.
  func additions(_ done: String) throws(DiffError) -> [AdditiveReader] {
    var additions: [AdditiveReader] = []
    for entry in self {
      switch entry.operation {
      case .add: if let addition = AdditiveReader(entry, of: self) { additions.append(addition) }
      case .insert, .delete: break
      case .xor, .replace, .reshape:
        throw DiffError(
          .unsupported,
          "'\(entry.operation.name)' is an exact change, which cannot be \(done)",
          path: path, tensor: entry.name, remedy: .additiveDiff)
      }
    }
    return additions
  }
}

extension DiffReader {
  /// Changes over elements of the tensors that the diff adds to; 1 if there are none.
  package var changedShare: Double {
    var (changes, elements) = (0.0, 0.0)
    for entry in self where entry.isAddition {
      changes += Double(entry.count)
      elements += Double(entry.shape.count)
    }
    return elements > 0 ? changes / elements : 1
  }
}

extension DiffEntry {
  var isReshape: Bool { if case .reshape = operation { true } else { false } }
  package var isAddition: Bool { if case .add = operation { true } else { false } }
}
