import TensorCore

/// How a page stores its positions. Raw values are those of the file.
public enum PositionCoding: UInt8, Sendable, Hashable, CaseIterable {
  /// Every element of the span is changed: nothing is stored.
  case dense = 0
  /// Gaps in a Rice code, a parameter per 128, low bits and unary parts apart.
  case splitRice = 1
  /// Gaps in binary, a width per 128.
  case bp128 = 2
  /// One bit an element of the span.
  case bitmap = 3
}

/// The order in which a page's positions are coded. Raw values are those of the file.
public enum Traversal: UInt8, Sendable, Hashable, CaseIterable {
  /// As the elements lie in the tensor.
  case rows = 0
  /// Column by column.
  case columns = 1
  /// Four panels, of hot and cold rows and columns, each row by row.
  case panels = 2
}

/// Gap codes work on blocks of this many values.
let blockLength = 128

extension [UInt8] {
  /// Refuses bits above the last value of a packed run: they would be a second form.
  func checkPadding(
    bits: Int, from start: Int, _ what: String
  ) throws(DiffError) {
    guard bits % 8 != 0 else { return }
    let last = start + bits / 8
    guard self[last] >> UInt8(bits % 8) == 0 else {
      throw .inPage("\(what) has bits behind its end", at: last)
    }
  }
}

/// Bytes that `count` values of `bits` bits take.
func packedSize(_ count: Int, bits: Int) -> Int { (count * bits + 7) / 8 }
