import TensorCore

/// The status and headers of a response.
package struct HTTPResponse: Sendable {
  package var status = 0
  /// The headers by lower-case names; the last one of a name that occurs twice.
  package var headers: [String: String] = [:]
  /// The target of a redirection, as an absolute address.
  var redirection: String?

  /// The stated length of the body.
  var contentLength: UInt64? { headers["content-length"].flatMap { UInt64($0) } }

  /// The number of seconds after which the server is to be asked again; nil for a date and for what is
  /// no pause.
  var retryAfter: Double? {
    guard let seconds = headers["retry-after"].flatMap({ Double($0) }), seconds.isFinite,
      seconds >= 0
    else { return nil }
    return seconds
  }

  /// The validator of the object's present state.
  var validator: Validator {
    Validator(entityTag: headers["etag"], lastModified: headers["last-modified"])
  }

  /// The range of the object in the body, and the object's size: of `Content-Range: bytes 0-9/10`.
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

  /// The size in `Content-Range: bytes */10`, the header of status 416.
  var sizeBeyondRange: UInt64? {
    guard let text = headers["content-range"], text.lowercased().hasPrefix("bytes */") else {
      return nil
    }
    return UInt64(text.dropFirst(8))
  }

  /// Parses a line of the header.
  mutating func take(line: Substring) {
    if line.hasPrefix("HTTP/") {
      // A further response: the one before was an interim one.
      self = HTTPResponse(
        status: line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
      return
    }
    guard let colon = line.firstIndex(of: ":") else { return }
    let value = line[line.index(after: colon)...]
    headers[line[..<colon].lowercased()] = String(value).trimmed
  }
}

/// The properties by which states of an object are distinguished.
struct Validator: Sendable, Hashable {
  var entityTag, lastModified: String?

  /// Returns whether two responses may be about the same state: what both state is equal.
  func agrees(with other: Validator) -> Bool {
    if let one = entityTag, let two = other.entityTag { return one == two }
    if let one = lastModified, let two = other.lastModified { return one == two }
    return true
  }

  var isEmpty: Bool { entityTag == nil && lastModified == nil }

  /// The entity tag, if it is strong: ranges with the same one may be combined.
  var strongTag: String? { entityTag.flatMap { $0.hasPrefix("\"") ? $0 : nil } }
}

extension String {
  /// The string without white space at both ends.
  var trimmed: String {
    let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0.isNewline }
    let start = drop(while: isSpace)
    return String(start.reversed().drop(while: isSpace).reversed())
  }
}
