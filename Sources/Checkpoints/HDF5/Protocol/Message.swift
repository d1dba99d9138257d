import TensorCore

/// Builds a message between diffkit and its helper: numbers of eight bytes, least significant
/// first, and runs of bytes behind their length.
package struct MessageWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func put(_ number: UInt64) {
    for byte in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * UInt64(byte)))) }
  }

  package mutating func put(_ number: Int) { put(UInt64(number)) }

  package mutating func put(_ run: [UInt8]) {
    put(run.count)
    bytes += run
  }

  package mutating func put(_ text: String) { put(Array(text.utf8)) }

  package mutating func put(_ numbers: [UInt64]) {
    put(numbers.count)
    for number in numbers { put(number) }
  }

  package mutating func put(_ texts: [String]) {
    put(texts.count)
    for text in texts { put(text) }
  }
}

/// Takes a message apart that may hold anything.
package struct MessageReader {
  private let bytes: [UInt8]
  private var next = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package mutating func number() throws(DiffError) -> UInt64 {
    guard bytes.count - next >= 8 else { throw .brokenMessage }
    let number = (0..<8).reduce(UInt64(0)) { $0 | UInt64(bytes[next + $1]) << (8 * $1) }
    next += 8
    return number
  }

  /// A count of things of which each takes at least `width` bytes of what follows.
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

  /// Refuses what is left over.
  package func end() throws(DiffError) {
    guard next == bytes.count else { throw .brokenMessage }
  }
}

extension DiffError {
  package static var brokenMessage: DiffError {
    DiffError(.malformed, "libhdf5 ran wild on this file: its answer makes no sense")
  }
}
