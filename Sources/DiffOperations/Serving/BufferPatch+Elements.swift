import DiffFormat
import Kernels
import TensorCore

/// Operations on only the elements that an entry changes, concatenated in the order of their
/// positions: a caller keeps them to restore a tensor, or copies them for a tensor on another
/// device.
extension BufferPatch {
  /// The number of elements that the entry changes.
  package var changes: UInt64 { entry.count }

  /// The size of these elements in bytes; nil if it exceeds the address space.
  package var elementBytes: Int? {
    let (size, overflow) = entry.count.multipliedReportingOverflow(by: UInt64(entry.type.width))
    return overflow ? nil : Int(exactly: size)
  }

  /// Refuses entries that insert, delete or reshape a tensor.
  package func requireSparse() throws(DiffError) {
    switch entry.operation {
    case .add, .replace, .xor: break
    default:
      throw DiffError(
        .unsupported, "is inserted, deleted or reshaped, not changed in some elements",
        path: diff.path, tensor: entry.name)
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

  /// Copies the elements that the entry changes out of a tensor. O(changes).
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

  /// Changes elements of the base to those of the result, with the same bits as `store`.
  /// O(changes).
  package func change(_ elements: inout MutableSpan<UInt8>) throws(DiffError) {
    try check(elements: elements.count)
    var pages = diff.pages(of: entry)
    while try pages.next() != nil {}
    pages = diff.pages(of: entry)
    var indices: [UInt32] = []
    var done = 0
    while let changes = try pages.next() {
      let end = done + changes.count * entry.type.width
      if indices.count != changes.count { indices = Array(0..<UInt32(changes.count)) }
      var block = elements._mutatingExtracting(done..<end)
      ChangeView(at: 0, indices.span, changes.values).apply(entry, to: &block, at: 0)
      done = end
    }
  }

  /// Copies elements into the tensor, if it holds those of `expected`. O(changes).
  ///
  /// - Throws: `wrong-base` if it holds other elements; nothing is changed then.
  package func scatter(
    _ elements: Span<UInt8>, into tensor: inout MutableSpan<UInt8>, expecting expected: Span<UInt8>?
  ) throws(DiffError) {
    try Self.check(tensor.count, entry, diff)
    try check(elements: elements.count)
    if let expected {
      var found = [UInt8](repeating: 0, count: elements.count)
      var buffer = found.mutableSpan
      try gather(tensor.span, into: &buffer)
      guard found.span.compared(with: expected) == 0 else {
        throw DiffError(
          .wrongBase, "was modified at elements that the diff changes", path: diff.path,
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
  /// Returns the byte range of a tensor from the first change to the last, inclusive.
  func bytes(width: Int) -> Range<Int> { Int(start) * width..<Int(end) * width }
}
