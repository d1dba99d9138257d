import TensorCore

/// What a server answered, without the body.
package struct HTTPResponse: Sendable {
  package var status = 0
  /// By lower-case names; of a name that occurs twice the last.
  package var headers: [String: String] = [:]
  /// Where a redirection leads, as a whole address.
  var redirection: String?

  /// The length of the body, if it is stated.
  var contentLength: UInt64? { headers["content-length"].flatMap { UInt64($0) } }

  /// What tells one state of the object from another.
  var validator: Validator {
    Validator(entityTag: headers["etag"], lastModified: headers["last-modified"])
  }

  /// The part of the object that follows, and the object's size: of `Content-Range: bytes 0-9/10`.
  var contentRange: (range: Range<UInt64>, size: UInt64)? {
    guard let text = headers["content-range"], text.lowercased().hasPrefix("bytes ") else {
      return nil
    }
    let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let size = UInt64(parts[1]) else { return nil }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = UInt64(ends[0]), let last = UInt64(ends[1]), first <= last,
      last < size
    else { return nil }
    return (first..<last + 1, size)
  }

  /// The size in `Content-Range: bytes */10`, which goes with 416.
  var sizeBeyondRange: UInt64? {
    guard let text = headers["content-range"], text.lowercased().hasPrefix("bytes */") else {
      return nil
    }
    return UInt64(text.dropFirst(8))
  }

  /// Takes a line of the header.
  mutating func take(line: Substring) {
    if line.hasPrefix("HTTP/") {
      // The next answer: what came before it was an interim one.
      self = HTTPResponse(
        status: line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
      return
    }
    guard let colon = line.firstIndex(of: ":") else { return }
    let value = line[line.index(after: colon)...]
    headers[line[..<colon].lowercased()] = String(value).trimmed
  }
}

/// What tells one state of an object from another.
struct Validator: Sendable, Hashable {
  var entityTag, lastModified: String?

  /// Whether two answers may be about one state: what both state is the same.
  func agrees(with other: Validator) -> Bool {
    if let one = entityTag, let two = other.entityTag { return one == two }
    if let one = lastModified, let two = other.lastModified { return one == two }
    return true
  }

  var isEmpty: Bool { entityTag == nil && lastModified == nil }

  /// An entity tag by which parts may be put together.
  var strongTag: String? { entityTag.flatMap { $0.hasPrefix("\"") ? $0 : nil } }
}

extension String {
  /// Without white space at both ends.
  var trimmed: String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
    let start = drop(while: isSpace)
    return String(start.reversed().drop(while: isSpace).reversed())
  }
}
