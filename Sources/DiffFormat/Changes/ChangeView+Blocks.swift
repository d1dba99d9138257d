import Kernels
import TensorCore

// Changes to a block of a tensor whose first element has the position `origin`. The offsets are not
// rewritten: each kernel adds the same shift to all of them.
extension ChangeView {
  /// Returns the number that, added to the offsets modulo 2^32, makes them relative to `origin`.
  package func shift(to origin: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: start &- origin)
  }

  /// Returns the positions minus `origin`.
  package func offsets(from origin: UInt64) -> [UInt32] {
    var rebased: [UInt32] = []
    let ascends = Kernels.rebase(offsets, by: shift(to: origin), appendingTo: &rebased)
    precondition(ascends, "offsets must ascend")
    return rebased
  }

  /// Returns the elements of a block at the changed positions, of `width` bytes each.
  package func gathered(
    from block: Span<UInt8>, width: Int, at origin: UInt64
  ) -> [UInt8] {
    Kernels.gathered(block, width: width, at: offsets, shift: shift(to: origin))
  }
}

extension ChangeView<UInt8> {
  /// Stores the values in a block, or XORs its elements with them.
  package func scatter(
    _ mode: Kernels.Scatter, into block: inout MutableSpan<UInt8>, at origin: UInt64
  ) {
    Kernels.scatter(
      mode, &block, width: width, at: offsets, shift: shift(to: origin), values)
  }

  /// Returns the numbers that the values of an addition represent: `value · 2^scale`.
  package func numbers(_ type: FloatType, scale: Int) -> [Double] {
    Kernels.widened(values, type, scale)
  }

  /// Applies these changes of an entry to a block of its tensor. Returns the number of elements
  /// that additions made infinite.
  @discardableResult
  package func apply(
    _ entry: DiffEntry, to block: inout MutableSpan<UInt8>, at origin: UInt64
  ) -> Int {
    switch entry.operation {
    case .xor: scatter(.xor, into: &block, at: origin)
    case .replace, .insert, .delete, .reshape: scatter(.replace, into: &block, at: origin)
    case .add(let type, let scale):
      guard let float = entry.type.float else { return 0 }
      let numbers = numbers(type, scale: scale)
      return ChangeView<Double>(at: start, offsets, numbers.span)
        .add(to: &block, float, at: origin)
    }
    return 0
  }
}

extension ChangeView<Double> {
  /// Adds the numbers to elements of a block, as specified by spec/FORMAT.md, section 6.1. Returns
  /// the number of elements that became infinite.
  @discardableResult
  package func add(
    to block: inout MutableSpan<UInt8>, _ type: FloatType, at origin: UInt64
  ) -> Int {
    Kernels.scatterAdd(&block, type, at: offsets, shift: shift(to: origin), values)
  }
}
