import DiffFormat
import TensorCore

extension DiffEntry {
  /// The fingerprint that the file has of a tensor that it holds whole; nil if it has none, or
  /// holds changes.
  var wholeFingerprint: Fingerprint? {
    switch operation {
    case .insert: result
    case .delete: base
    default: nil
    }
  }
}

extension DiffReader {
  /// The entry with the fingerprint of the tensor that it holds whole, where the file lacks it:
  /// the stored elements serve in its place (spec/FORMAT.md, section 7).
  ///
  /// - Complexity: O(elements of a whole tensor without fingerprint), else nothing.
  func fingerprintingWhole(_ entry: DiffEntry) throws(DiffError) -> DiffEntry {
    var entry = entry
    switch entry.operation {
    case .insert where entry.result == nil: entry.result = try fingerprint(ofWhole: entry)
    case .delete where entry.base == nil: entry.base = try fingerprint(ofWhole: entry)
    default: break
    }
    return entry
  }

  /// Refuses an `insert` or `delete` whose stored elements are not those that its fingerprint is of.
  ///
  /// - Complexity: O(elements).
  func requireConsistent(_ entry: DiffEntry) throws(DiffError) {
    try requireConsistent(entry, try fingerprint(ofWhole: entry))
  }

  /// Refuses an entry whose stored elements, with the fingerprint `stored`, are not those that its
  /// fingerprint is of.
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
  /// Elements that the diff has, or makes, are not those that its fingerprint is of.
  static func inconsistent(
    _ what: String, _ found: Fingerprint, _ claimed: Fingerprint
  ) -> DiffError {
    DiffError(
      .checksum, "the \(what) have fingerprint \(found), not \(claimed): the diff is inconsistent")
  }
}
