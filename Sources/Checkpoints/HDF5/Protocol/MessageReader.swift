import TensorCore

/// Decodes a message whose contents are not trusted.
package struct MessageReader {
  private let bytes: [UInt8]
  private var next = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package mutating func number() throws(DiffError) -> UInt64 {
    guard bytes.count - next >= 8 else { throw .brokenMessage }
    defer { next += 8 }
    return bytes.littleEndian(at: next)
  }

  /// Reads a count of items that take at least `width` bytes each of the rest of the message.
  package mutating func count(width: Int = 1) throws(DiffError) -> Int {
    let number = try number()
    guard number <= UInt64((bytes.count - next) / width) else { throw .brokenMessage }
    return Int(number)
  }

  package mutating func flag() throws(DiffError) -> Bool { try number() != 0 }

  package mutating func run() throws(DiffError) -> [UInt8] {
    let count = try count()
    defer { next += count }
    return Array(bytes[next..<next + count])
  }

  package mutating func text() throws(DiffError) -> String {
    guard let text = String(validating: try run(), as: UTF8.self) else { throw .brokenMessage }
    return text
  }

  package mutating func numbers() throws(DiffError) -> [UInt64] {
    let count = try count(width: 8)
    return try (0..<count).map { (_) throws(DiffError) in try number() }
  }

  package mutating func texts() throws(DiffError) -> [String] {
    let count = try count(width: 8)
    return try (0..<count).map { (_) throws(DiffError) in try text() }
  }

  package mutating func name() throws(DiffError) -> TensorName { TensorName(try text()) }

  package mutating func names() throws(DiffError) -> [TensorName] {
    try texts().map { TensorName($0) }
  }

  /// Throws if bytes are left over.
  package func end() throws(DiffError) {
    guard next == bytes.count else { throw .brokenMessage }
  }
}

extension MessageReader {
  mutating func type() throws(DiffError) -> ElementType {
    guard let code = UInt8(exactly: try number()), let type = ElementType(rawValue: code) else {
      throw .brokenMessage
    }
    return type
  }

  mutating func shape() throws(DiffError) -> Shape {
    guard let shape = Shape(try numbers()) else { throw .brokenMessage }
    return shape
  }
}

extension DiffError {
  package static var brokenMessage: DiffError {
    DiffError(.malformed, "libhdf5 returned an invalid response; the file is probably corrupt")
  }
}
