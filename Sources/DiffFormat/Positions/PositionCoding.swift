import TensorCore

/// A coding of a page's positions. Raw values are those of the file.
public enum PositionCoding: UInt8, Sendable, Hashable, CaseIterable {
  /// Every element of the span is changed: nothing is stored.
  case dense = 0
  /// Gaps in a Rice code, a parameter per 128, low bits and unary parts separate.
  case splitRice = 1
  /// Gaps in binary, a width per 128.
  case bp128 = 2
  /// One bit per element of the span.
  case bitmap = 3
}

/// The order in which a page's positions are coded. Raw values are those of the file.
public enum Traversal: UInt8, Sendable, Hashable, CaseIterable {
  /// Row by row, the order of elements in the tensor.
  case rows = 0
  /// Column by column.
  case columns = 1
  /// Four panels, of hot and cold rows and columns, each row by row.
  case panels = 2
}

/// The number of values in a block of a gap code.
let blockLength = 128

extension [UInt8] {
  /// Refuses bits above the last of packed values, which would be a second form of the same values.
  func checkPadding(
    bits: Int, from start: Int, _ what: String
  ) throws(DiffError) {
    guard bits % 8 != 0 else { return }
    let last = start + bits / 8
    guard self[last] >> UInt8(bits % 8) == 0 else {
      throw .inPage("\(what) has bits after its end", at: last)
    }
  }
}

/// Returns the number of bytes of `count` values of `bits` bits.
func packedSize(_ count: Int, bits: Int) -> Int { (count * bits + 7) / 8 }
