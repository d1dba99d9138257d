extension Fingerprint {
  /// Returns the fingerprint of a whole checkpoint, from the names and fingerprints of its tensors
  /// in any order (spec/FORMAT.md, 7.4). It depends neither on the container nor on the
  /// distribution of tensors over files.
  ///
  /// - Returns: nil if two names differ only in separators and a final ':0'.
  /// - Complexity: O(n log n) in tensors.
  package static func ofCheckpoint(
    _ tensors: some Sequence<(name: TensorName, fingerprint: Fingerprint)>
  ) -> Fingerprint? {
    let rows = tensors.map { (key: $0.name.key.bare, fingerprint: $0.fingerprint) }
      .sorted { $0.key < $1.key }
    var text = UInt64(rows.count).littleEndianBytes
    for (index, row) in rows.enumerated() {
      if index > 0, rows[index - 1].key == row.key { return nil }
      text += UInt64(row.key.utf8.count).littleEndianBytes + Array(row.key.utf8)
      text += row.fingerprint.bytes
    }
    return XXH3.hash128(text.span)
  }

  /// Parses a fingerprint of 32 hexadecimal digits, as written by `description`.
  package init?(_ text: String) {
    let digits = Array(text.utf8)
    guard digits.count == 32,
      digits.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }),
      let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
    else { return nil }
    self.init(high: high, low: low)
  }
}

extension TensorName {
  /// True for names of optimizer state, which Keras stores in the file of a whole model: below
  /// `optimizer_weights` (HDF5 of Keras 1 to 3) or `optimizer/vars` (`.weights.h5`).
  package var isOptimizerState: Bool {
    let parts = parts
    guard parts.count > 1 else { return false }
    return parts[0] == "optimizer_weights"
      || parts[0] == "optimizer" && parts[1] == "vars" && parts.count > 2
  }
}
