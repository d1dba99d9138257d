import DiffFormat
import TensorCore

extension DiffEntry {
  /// The fingerprint that the file states for a tensor that it holds whole; nil for one that is
  /// missing, and for changes.
  var wholeFingerprint: Fingerprint? {
    switch operation {
    case .insert: result
    case .delete: base
    default: nil
    }
  }
}

extension DiffReader {
  /// Returns the entry with the fingerprint of the tensor that it holds whole, computed from the
  /// stored elements if the file lacks it (spec/FORMAT.md, section 7).
  ///
  /// - Complexity: O(elements) for a whole tensor without a fingerprint, else O(1).
  func fingerprintingWhole(_ entry: DiffEntry) throws(DiffError) -> DiffEntry {
    var entry = entry
    switch entry.operation {
    case .insert where entry.result == nil: entry.result = try fingerprint(ofWhole: entry)
    case .delete where entry.base == nil: entry.base = try fingerprint(ofWhole: entry)
    default: break
    }
    return entry
  }

  /// Refuses an `insert` or `delete` whose stored elements do not match its fingerprint.
  ///
  /// - Complexity: O(elements).
  func requireConsistent(_ entry: DiffEntry) throws(DiffError) {
    try requireConsistent(entry, try fingerprint(ofWhole: entry))
  }

  /// Refuses an entry whose fingerprint is not `stored`, that of its stored elements.
  func requireConsistent(_ entry: DiffEntry, _ stored: Fingerprint) throws(DiffError) {
    guard let claimed = entry.wholeFingerprint, !checksumsMatch(stored, claimed) else { return }
    throw .inconsistent("stored elements", stored, claimed).at(path: path, tensor: entry.name)
  }

  private func fingerprint(ofWhole entry: DiffEntry) throws(DiffError) -> Fingerprint {
    var stream = FingerprintStream(entry.type, entry.shape)
    var pages = pages(of: entry)
    while let changes = try pages.next() { stream.append(changes.values) }
    return stream.finish()
  }
}

extension DiffError {
  /// Returns the error of elements, stored or computed, that do not match the diff's fingerprint.
  static func inconsistent(
    _ what: String, _ found: Fingerprint, _ claimed: Fingerprint
  ) -> DiffError {
    DiffError(
      .checksum, "the \(what) have fingerprint \(found), not \(claimed): the diff is inconsistent")
  }
}
