import TensorCore

/// An array in NumPy's format `.npy`, version 1.0 (numpy.org, "NEP 1"): little-endian and
/// row-major, or of one dimension, with a type that tensors have too.
package struct NumPyArray {
  package var type: ElementType
  package var shape: Shape
  package var bytes: [UInt8]

  private static let signature: [UInt8] = [0x93] + Array("NUMPY".utf8)

  /// NumPy's codes of the types that both have.
  private static let types: [(type: ElementType, text: String)] = [
    (.bool, "|b1"), (.u8, "|u1"), (.i8, "|i1"), (.u16, "<u2"), (.i16, "<i2"), (.u32, "<u4"),
    (.i32, "<i4"), (.u64, "<u8"), (.i64, "<i8"), (.f16, "<f2"), (.f32, "<f4"), (.f64, "<f8"),
    (.c64, "<c8"),
  ]

  /// The contents of the file; nil if NumPy does not have the type.
  package var file: [UInt8]? {
    guard let type = Self.types.first(where: { $0.type == type })?.text else { return nil }
    let extents = shape.extents.map { "\($0), " }.joined()
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(extents)), }"
    // The elements begin at a multiple of 64.
    let size = 10 + header.utf8.count + 1
    header += String(repeating: " ", count: (64 - size % 64) % 64) + "\n"
    let length = UInt16(truncatingIfNeeded: header.utf8.count)
    return Self.signature + [1, 0] + length.littleEndianBytes + Array(header.utf8) + bytes
  }

  /// Parses a file.
  ///
  /// - Throws: `unsupported` or `malformed`, without the location.
  package init(_ file: [UInt8]) throws(DiffError) {
    guard file.starts(with: Self.signature), file.count >= 10, (1...3).contains(file[6]) else {
      throw DiffError(.malformed, "not a NumPy array")
    }
    let lengthSize = file[6] == 1 ? 2 : 4
    let start = 8 + lengthSize
    guard file.count >= start else { throw DiffError(.malformed, "a NumPy array without a header") }
    let length = Int(file.span.littleEndian(at: 8, width: lengthSize))
    guard length <= file.count - start else {
      throw DiffError(.malformed, "the header of a NumPy array is cut off")
    }
    var header = NumPyHeader(Array(file[start..<start + length]))
    try header.parse()
    guard let type = Self.types.first(where: { $0.text == header.type })?.type else {
      throw DiffError(
        .unsupported, "a NumPy array of type '\(header.type)', which tensors do not have")
    }
    guard let shape = Shape(header.shape) else {
      throw DiffError(.limit, "a NumPy array of too many elements or dimensions")
    }
    guard !header.isColumnMajor || shape.extents.count < 2 else {
      throw DiffError(.unsupported, "a NumPy array in column-major order; save it in C order")
    }
    guard UInt64(file.count - start - length) == shape.count * UInt64(type.width) else {
      throw DiffError(.malformed, "a NumPy array whose size is not that of its shape")
    }
    self.init(type, shape, Array(file[(start + length)...]))
  }

  /// Creates an array of elements.
  package init(_ type: ElementType, _ shape: Shape, _ bytes: [UInt8]) {
    self.type = type
    self.shape = shape
    self.bytes = bytes
  }
}

/// A parser of the header, a Python dictionary with three keys.
private struct NumPyHeader {
  private let text: [UInt8]
  private var at = 0
  var type = ""
  var isColumnMajor = false
  var shape: [UInt64] = []

  init(_ text: [UInt8]) { self.text = text }

  mutating func parse() throws(DiffError) {
    var keys: Set<String> = []
    try take("{")
    while !skip("}") {
      let key = try string()
      guard keys.insert(key).inserted else { throw error }
      try take(":")
      switch key {
      case "descr": type = try string()
      case "fortran_order":
        isColumnMajor = skip("True")
        if !isColumnMajor { try take("False") }
      case "shape": shape = try numbers()
      default: throw error
      }
      if !skip(",") {
        try take("}")
        break
      }
    }
    spaces()
    guard keys.count == 3, at == text.count else { throw error }
  }

  private var error: DiffError {
    DiffError(.malformed, "the header of a NumPy array is invalid")
  }

  private mutating func spaces() {
    while at < text.count, text[at] == 0x20 || text[at] == 0x0A { at += 1 }
  }

  private mutating func skip(_ word: String) -> Bool {
    spaces()
    guard text[at...].starts(with: word.utf8) else { return false }
    at += word.utf8.count
    return true
  }

  private mutating func take(_ word: String) throws(DiffError) {
    guard skip(word) else { throw error }
  }

  private mutating func string() throws(DiffError) -> String {
    try take("'")
    guard let end = text[at...].firstIndex(of: UInt8(ascii: "'")) else { throw error }
    defer { at = end + 1 }
    return String(decoding: text[at..<end], as: UTF8.self)
  }

  private mutating func numbers() throws(DiffError) -> [UInt64] {
    var numbers: [UInt64] = []
    try take("(")
    while !skip(")") {
      spaces()
      let digits = text[at...].prefix { (0x30...0x39).contains($0) }
      guard let number = UInt64(String(decoding: digits, as: UTF8.self)), numbers.count < 32
      else { throw error }
      numbers.append(number)
      at += digits.count
      if !skip(",") {
        try take(")")
        break
      }
    }
    return numbers
  }
}
