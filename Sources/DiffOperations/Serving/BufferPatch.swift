import DiffFormat
import TensorCore

/// Applies or reverts one entry of a diff on the bytes of a tensor that the caller holds.
package struct BufferPatch {
  let diff: DiffReader
  let entry: DiffEntry
  private let direction: Direction

  /// - Throws: `unsupported` if the tensor is deleted or reshaped, or if the diff lacks the old
  ///   elements to revert it.
  package init(
    _ diff: DiffReader, _ entry: DiffEntry, _ direction: Direction
  ) throws(DiffError) {
    let reason: String? =
      switch (entry.operation, direction) {
      case (.reshape, _): "changes its shape, which requires another buffer"
      case (.delete, .apply), (.insert, .revert): "is deleted; there is nothing to write"
      case (.add, .revert), (.replace, .revert): "keeps no old values, so it cannot be reverted"
      default: nil
      }
    if let reason { throw DiffError(.unsupported, reason, path: diff.path, tensor: entry.name) }
    self.diff = diff
    self.entry = try diff.fingerprintingWhole(entry)
    self.direction = direction
  }

  /// Returns the state of a tensor relative to an entry, by its fingerprint; nil if the entry lacks
  /// the fingerprint that would decide.
  ///
  /// - Throws: `mismatch` if the number of bytes is not that of the tensor.
  /// - Complexity: O(bytes).
  package static func state(
    of bytes: Span<UInt8>, _ entry: DiffEntry, in diff: DiffReader
  ) throws(DiffError) -> TensorState? {
    if case .reshape(let new) = entry.operation, hasSize(bytes.count, entry.type, new) {
      let found = Fingerprint.of(entry.type, new, bytes)
      if let result = entry.result, checksumsMatch(result, found) { return .result }
      if !hasSize(bytes.count, entry.type, entry.shape) {
        return entry.result == nil ? nil : .other
      }
    }
    try check(bytes.count, entry, diff)
    let found = Fingerprint.of(entry.type, entry.shape, bytes)
    if let base = entry.base, checksumsMatch(base, found) {
      if entry.operation == .delete { try diff.requireConsistent(entry) }
      return .base
    }
    if let result = entry.result, checksumsMatch(result, found) { return .result }
    return entry.base == nil ? nil : .other
  }

  /// Changes the tensor.
  ///
  /// - Parameter verifying: whether to verify its fingerprint first; a new tensor has none.
  /// - Returns: false if the tensor was at the target state already.
  /// - Throws: `wrong-base`, `mismatch` in its size, or the errors of a damaged diff; nothing is
  ///   changed then.
  /// - Complexity: O(changes), plus O(bytes) to verify.
  package func store(
    into bytes: inout MutableSpan<UInt8>, verifying: Bool
  ) throws(DiffError) -> Bool {
    try Self.check(bytes.count, entry, diff)
    let isNew = entry.operation == .insert || entry.operation == .delete
    if verifying && !isNew {
      let (wanted, done): (TensorState, TensorState) =
        direction == .apply ? (.base, .result) : (.result, .base)
      switch try Self.state(of: bytes.span, entry, in: diff) {
      case wanted?: break
      case done?: return false
      default:
        throw DiffError(
          .wrongBase, "is not the one that the diff was made for", path: diff.path,
          tensor: entry.name)
      }
    }
    // The first pass checks every page, so that the second cannot fail halfway.
    if verifying && isNew { try diff.requireConsistent(entry) }
    try requireDecodable()
    try storeDecodable(into: &bytes)
    return true
  }

  /// Refuses a tensor of another size, and an entry with a damaged page. O(changes).
  package func requireDecodable(for count: Int) throws(DiffError) {
    try Self.check(count, entry, diff)
    try requireDecodable()
  }

  private func requireDecodable() throws(DiffError) {
    var pages = diff.pages(of: entry)
    while try pages.next() != nil {}
  }

  /// Changes a tensor of which, and of whose entry, everything has been checked. O(changes).
  package func storeDecodable(into bytes: inout MutableSpan<UInt8>) throws(DiffError) {
    let width = entry.type.width
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      var block = bytes._mutatingExtracting(changes.bytes(width: width))
      changes.apply(entry, to: &block, at: changes.start)
    }
  }

  static func check(
    _ count: Int, _ entry: DiffEntry, _ diff: DiffReader
  ) throws(DiffError) {
    try check(count, entry, shape: entry.shape, in: diff)
  }

  /// Refuses a buffer whose size is not that of a tensor of this shape and the entry's type.
  static func check(
    _ count: Int, _ entry: DiffEntry, shape: Shape, in diff: DiffReader
  ) throws(DiffError) {
    guard hasSize(count, entry.type, shape) else {
      throw DiffError(
        .mismatch, "\(count) bytes are not a tensor of \(entry.type) \(shape)", path: diff.path,
        tensor: entry.name)
    }
  }

  private static func hasSize(_ count: Int, _ type: ElementType, _ shape: Shape) -> Bool {
    let (size, overflow) = shape.count.multipliedReportingOverflow(by: UInt64(type.width))
    return !overflow && UInt64(count) == size
  }
}
