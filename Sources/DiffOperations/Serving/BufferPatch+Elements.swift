import DiffFormat
import Kernels
import TensorCore

/// The elements alone that an entry changes, end to end in the order of their positions: what a
/// caller keeps to restore a tensor, or has of one that is on another device.
extension BufferPatch {
  /// How many elements the entry changes.
  package var changes: UInt64 { entry.count }

  /// Their bytes; nil if that is more than memory.
  package var elementBytes: Int? {
    let (size, overflow) = entry.count.multipliedReportingOverflow(by: UInt64(entry.type.width))
    return overflow ? nil : Int(exactly: size)
  }

  /// Refuses entries that do not change some elements of a tensor that stays.
  package func requireSparse() throws(DiffError) {
    switch entry.operation {
    case .add, .replace, .xor: break
    default:
      throw DiffError(
        .unsupported, "changes as a whole, not in some elements", path: diff.path,
        tensor: entry.name)
    }
  }

  /// The same, and refuses another number of elements than change.
  private func check(elements count: Int) throws(DiffError) {
    try requireSparse()
    guard count == elementBytes else {
      throw DiffError(
        .usage, "\(count) bytes for \(entry.count) elements of \(entry.type)", path: diff.path,
        tensor: entry.name)
    }
  }

  /// Copies the elements of a tensor that the entry changes. O(changes).
  package func gather(
    _ tensor: Span<UInt8>, into elements: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    try Self.check(tensor.count, entry, diff)
    try check(elements: elements.count)
    var pages = diff.pages(of: entry)
    let width = entry.type.width
    var done = 0
    while let changes = try pages.next() {
      let block = tensor.extracting(changes.bytes(width: width))
      let end = done + changes.count * width
      var out = elements._mutatingExtracting(done..<end)
      Kernels.gather(block, width: width, at: changes.offsets, into: &out)
      done = end
    }
  }

  /// Makes of the base's elements those of the result, with the bits of `store`. O(changes).
  package func change(_ elements: inout MutableSpan<UInt8>) throws(DiffError) {
    try check(elements: elements.count)
    var pages = diff.pages(of: entry)
    while try pages.next() != nil {}
    pages = diff.pages(of: entry)
    var places: [UInt32] = []
    var done = 0
    while let changes = try pages.next() {
      let end = done + changes.count * entry.type.width
      if places.count != changes.count { places = Array(0..<UInt32(changes.count)) }
      var block = elements._mutatingExtracting(done..<end)
      ChangeView(at: 0, places.span, changes.values).apply(entry, to: &block, at: 0)
      done = end
    }
  }

  /// Puts elements into the tensor, if those of `expected` are there. O(changes).
  ///
  /// - Throws: `wrong-base` if others are there; nothing is changed then.
  package func scatter(
    _ elements: Span<UInt8>, into tensor: inout MutableSpan<UInt8>, expecting expected: Span<UInt8>?
  ) throws(DiffError) {
    try Self.check(tensor.count, entry, diff)
    try check(elements: elements.count)
    if let expected {
      var found = [UInt8](repeating: 0, count: elements.count)
      var room = found.mutableSpan
      try gather(tensor.span, into: &room)
      guard found.span.compared(with: expected) == 0 else {
        throw DiffError(
          .wrongBase, "has been changed in between, where the diff changes it", path: diff.path,
          tensor: entry.name)
      }
    }
    var pages = diff.pages(of: entry)
    while try pages.next() != nil {}
    pages = diff.pages(of: entry)
    let width = entry.type.width
    var done = 0
    while let changes = try pages.next() {
      let end = done + changes.count * width
      var block = tensor._mutatingExtracting(changes.bytes(width: width))
      Kernels.scatter(
        .replace, &block, width: width, at: changes.offsets, elements.extracting(done..<end))
      done = end
    }
  }
}

extension ChangeView {
  /// The bytes of a tensor from the first change to the last, both included.
  func bytes(width: Int) -> Range<Int> { Int(start) * width..<Int(end) * width }
}
