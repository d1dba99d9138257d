import TensorCore

/// Encodes a message between diffkit and its helper: 64-bit little-endian numbers, and byte arrays
/// preceded by their length.
package struct MessageWriter {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func put(_ number: UInt64) {
    bytes.append(littleEndian: number)
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

  package mutating func put(_ name: TensorName) { put(name.description) }

  package mutating func put(_ names: [TensorName]) { put(names.map(\.description)) }
}
