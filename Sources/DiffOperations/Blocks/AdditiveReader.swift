import DiffFormat
import TensorCore

/// Reads the numbers that a diff adds to one tensor.
struct AdditiveReader: Sendable {
  let diff: DiffReader
  let entry: DiffEntry
  /// The type of the stored values, which are multiplied by 2^scale.
  let type: FloatType
  let scale: Int

  /// Returns nil for an entry that is not an addition.
  init?(_ entry: DiffEntry, of diff: DiffReader) {
    guard case .add(let type, let scale) = entry.operation else { return nil }
    self.diff = diff
    self.entry = entry
    self.type = type
    self.scale = scale
  }

  var pages: [PageInfo] { entry.pages[.changes] ?? [] }

  /// Calls `body` with the stored changes of each page and their numbers.
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
  /// Returns the additions of a diff that otherwise holds only whole tensors.
  ///
  /// - Parameters:
  ///   - done: the operation as a participle, for the message «cannot be …».
  ///   - besidesExact: whether the diff may also hold exact changes.
  /// - Throws: `unsupported` for exact changes.
  func additions(
    _ done: String, besidesExact: Bool = false
  ) throws(DiffError) -> [AdditiveReader] {
    var additions: [AdditiveReader] = []
    for entry in self {
      switch entry.operation {
      case .add: if let addition = AdditiveReader(entry, of: self) { additions.append(addition) }
      case .insert, .delete: break
      case .xor, .replace, .reshape:
        guard !besidesExact else { continue }
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
  /// The density of the additions: changes / elements of the tensors added to; 1 if there are none.
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
  package var isReshape: Bool { if case .reshape = operation { true } else { false } }
  package var isAddition: Bool { if case .add = operation { true } else { false } }
}
