import TensorCore

/// An index into bytes of a file, with checked reads. Every error has the offset in the file.
struct Cursor {
  private let bytes: [UInt8]
  /// The index of the next byte.
  private(set) var at: Int
  private let end: Int
  /// The offset of `bytes[0]` in the file.
  private let origin: UInt64

  init(_ bytes: [UInt8], origin: UInt64, at: Int = 0, end: Int? = nil) {
    self.bytes = bytes
    self.origin = origin
    self.at = at
    self.end = end ?? bytes.count
  }

  /// The offset of the next byte in the file.
  var offset: UInt64 { origin + UInt64(at) }
  var remaining: Int { end - at }

  func error(_ code: DiffError.Code, _ message: String) -> DiffError {
    DiffError(code, message, offset: offset)
  }

  func malformed(_ message: String) -> DiffError { error(.malformed, message) }

  /// Skips `count` bytes and returns their range.
  mutating func take(_ count: UInt64, _ what: String) throws(DiffError) -> Range<Int> {
    guard count <= UInt64(remaining) else { throw malformed("\(what) runs past its container") }
    defer { at += Int(count) }
    return at..<at + Int(count)
  }

  mutating func byte(_ what: String) throws(DiffError) -> UInt8 {
    guard at < end else { throw malformed("\(what) runs past its container") }
    defer { at += 1 }
    return bytes[at]
  }

  /// Reads an unsigned LEB128 number, which must have its shortest form.
  mutating func varint(_ what: String) throws(DiffError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while at < end {
      let byte = bytes[at]
      // The tenth byte holds one bit; a last byte of zero would not be the shortest form.
      guard shift < 63 || byte <= 1, byte != 0 || shift == 0 else {
        throw malformed("\(what) is not a shortest-form number of 64 bits")
      }
      at += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw malformed("\(what) runs past its container")
  }

  /// Reads a number no larger than `limit`.
  mutating func varint(_ what: String, atMost limit: UInt64) throws(DiffError) -> UInt64 {
    let start = at
    let value = try varint(what)
    guard value <= limit else {
      throw DiffError(
        .limit, "\(what) is \(value), the limit is \(limit)", offset: origin + UInt64(start))
    }
    return value
  }

  mutating func u64(_ what: String) throws(DiffError) -> UInt64 {
    let range = try take(8, what)
    return bytes.littleEndian(at: range.lowerBound)
  }

  mutating func fingerprint(_ what: String) throws(DiffError) -> Fingerprint {
    let range = try take(16, what)
    return Fingerprint(bytes, at: range.lowerBound)
  }

  /// Reads a length and that many bytes of UTF-8; returns their range.
  mutating func text(_ what: String, atMost limit: Int) throws(DiffError) -> Range<Int> {
    let range = try take(try varint("\(what) length", atMost: UInt64(limit)), what)
    guard bytes.isUTF8(range) else {
      throw DiffError(
        .malformed, "\(what) is not UTF-8", offset: origin + UInt64(range.lowerBound))
    }
    return range
  }
}

extension [UInt8] {
  /// Returns whether a range is well-formed UTF-8. It is nearly always ASCII, which needs no
  /// decoder.
  func isUTF8(_ range: Range<Int>) -> Bool {
    self[range].allSatisfy { $0 < 0x80 } || String(validating: self[range], as: UTF8.self) != nil
  }

  mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  mutating func append(text: String) {
    append(varint: UInt64(text.utf8.count))
    append(contentsOf: text.utf8)
  }
}
