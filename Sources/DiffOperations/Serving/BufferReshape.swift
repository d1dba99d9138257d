import DiffFormat
import Kernels
import TensorCore

/// Applies or reverts a `reshape` entry on a tensor that the caller holds.
package struct BufferReshape {
  private let diff: DiffReader
  private let entry: DiffEntry
  private let before, after: (shape: Shape, fingerprint: Fingerprint?)
  /// The stream of the elements that only `after` has.
  private let remainder: DiffStream

  /// - Throws: `unsupported` if the entry has another operation.
  package init(
    _ diff: DiffReader, _ entry: DiffEntry, _ direction: Direction
  ) throws(DiffError) {
    guard case .reshape(let shape) = entry.operation else {
      throw DiffError(
        .unsupported, "keeps its shape", path: diff.path, tensor: entry.name)
    }
    self.diff = diff
    self.entry = entry
    if direction == .apply {
      (before, after) = ((entry.shape, entry.base), (shape, entry.result))
      remainder = .newRemainder
    } else {
      (before, after) = ((shape, entry.result), (entry.shape, entry.base))
      remainder = .oldRemainder
    }
  }

  /// Writes the reshaped tensor to `new`.
  ///
  /// - Parameter verifying: whether to hash both tensors.
  /// - Throws: `mismatch` in sizes, `wrong-base`, `checksum` if the result does not match its
  ///   fingerprint in the diff; the contents of `new` are undefined then.
  /// - Complexity: O(bytes of both).
  package func run(
    _ old: Span<UInt8>, into new: inout MutableSpan<UInt8>, verifying: Bool
  ) throws(DiffError) {
    try BufferPatch.check(old.count, entry, shape: before.shape, in: diff)
    try BufferPatch.check(new.count, entry, shape: after.shape, in: diff)
    if verifying {
      guard let known = before.fingerprint,
        checksumsMatch(known, .of(entry.type, before.shape, old))
      else {
        throw DiffError(
          .wrongBase, "is not the one that the diff was made for", path: diff.path,
          tensor: entry.name)
      }
    }
    try copyOverlap(old, into: &new)
    try copyRemainder(into: &new)
    guard verifying, let known = after.fingerprint else { return }
    let made = Fingerprint.of(entry.type, after.shape, new.span)
    guard checksumsMatch(known, made) else {
      throw .inconsistent("result", made, known).at(path: diff.path, tensor: entry.name)
    }
  }

  private var width: Int { entry.type.width }

  /// Copies the elements that both shapes have, changed by the entry.
  private func copyOverlap(
    _ old: Span<UInt8>, into new: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    let count = before.shape.overlap(after.shape).count
    guard count > 0 else { return }
    var box: [UInt8] = []
    box.reserveCapacity(Int(count) * width)
    for range in BoxLayout(of: before.shape, overlapping: after.shape).ranges(ofBox: 0..<count) {
      box.append(copying: old.extracting(bytes(range)))
    }
    var pages = diff.pages(of: entry)
    while let changes = try pages.next() {
      var span = box.mutableSpan
      var block = span._mutatingExtracting(changes.bytes(width: width))
      changes.scatter(.xor, into: &block, at: changes.start)
    }
    var done = 0
    for range in BoxLayout(of: after.shape, overlapping: before.shape).ranges(ofBox: 0..<count) {
      let part = bytes(range)
      var out = new._mutatingExtracting(part)
      out.copy(box.span.extracting(done..<done + part.count))
      done += part.count
    }
  }

  /// Copies the elements that only the new shape has, which the entry holds.
  private func copyRemainder(into new: inout MutableSpan<UInt8>) throws(DiffError) {
    var stored: [UInt8] = []
    var pages = diff.pages(of: entry, remainder)
    while let changes = try pages.next() { stored.append(copying: changes.values) }
    let layout = BoxLayout(of: after.shape, overlapping: before.shape)
    var (at, done) = (0, 0)
    for run in layout.runs(of: 0..<after.shape.count) {
      let size = run.count * width
      if !run.isInside {
        var out = new._mutatingExtracting(at..<at + size)
        out.copy(stored.span.extracting(done..<done + size))
        done += size
      }
      at += size
    }
  }

  private func bytes(_ elements: Range<UInt64>) -> Range<Int> {
    Int(elements.lowerBound) * width..<Int(elements.upperBound) * width
  }
}
