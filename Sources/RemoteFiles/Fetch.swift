import SystemSupport
import TensorCore

/// Fetches an object from a server into a local file, range by range; each byte once, however often
/// the connection is cut. Used by one thread at a time.
final class Fetch: BodyReceiver {
  private let session: RemoteSession
  private let cached: CachedObject?
  /// The maximum size of the object in bytes.
  private let limit: UInt64
  /// The local file, in which every byte has the offset that it has in the object.
  let local: File
  /// The object's size, after `open`.
  private(set) var size: UInt64 = 0
  private var isOpen = false
  private var isRevalidating = false
  private var validator = Validator()
  private var present = ByteRanges()
  /// The number of bytes that have arrived for the first time.
  private(set) var received: UInt64 = 0
  /// The number of received bytes that are not recorded in the cache.
  private var unsaved: UInt64 = 0

  // The response that is arriving: the requested range, the offset of the next byte, the end.
  private var wanted: Range<UInt64> = 0..<0
  private var offset: UInt64 = 0
  private var end: UInt64 = 0
  /// The number of received bytes of a body that is not part of the object, as that of an error.
  private var ignored: Int?

  /// The unit of requested ranges in bytes.
  private static let blockSize: UInt64 = 1 << 16
  private static let saveInterval: UInt64 = 1 << 24

  init(
    _ session: RemoteSession, _ cached: CachedObject?, _ local: File,
    limit: UInt64 = UInt64(Int64.max)
  ) {
    self.session = session
    self.cached = cached
    self.limit = limit
    self.local = local
  }

  deinit { save() }

  /// Requests the object's size and its first bytes, and revalidates what the cache has.
  func open() throws(DiffError) {
    if let state = cached?.state, !state.validator.isEmpty {
      (size, validator, present) = (state.size, state.validator, state.present)
      isRevalidating = true
    }
    let response = try session.ask(self, progress: { received }) { () throws(DiffError) in
      if isOpen {
        guard let rest = present.firstMissing(in: 0..<min(size, Self.blockSize)) else { return nil }
        return request(rest)
      }
      guard isRevalidating else { return request(0..<Self.blockSize) }
      // A server that sends bytes all the same sends some that are missing.
      let rest = present.firstMissing(in: 0..<size) ?? 0..<1
      var request = request(
        rest.lowerBound..<min(rest.upperBound, rest.lowerBound + Self.blockSize))
      if let tag = validator.entityTag { request.headers.append(("If-None-Match", tag)) }
      if let date = validator.lastModified { request.headers.append(("If-Modified-Since", date)) }
      return request
    }
    guard isOpen || isRevalidating && response?.status == 304 else {
      throw DiffError.answered(response ?? HTTPResponse()).at(path: "\(session.address)")
    }
    (isOpen, isRevalidating) = (true, false)
    try require(0..<min(size, Self.blockSize))
  }

  /// Fetches the bytes of a range that are not in the local file.
  func require(_ range: Range<UInt64>) throws(DiffError) {
    do throws(DiffError) {
      while let missing = present.firstMissing(in: range) {
        let from = missing.lowerBound / Self.blockSize * Self.blockSize
        let blocks = (missing.upperBound - 1) / Self.blockSize + 1
        let to = min(size, blocks * Self.blockSize)
        guard let part = present.firstMissing(in: min(from, size)..<to) else { return }
        let before = received
        let response = try session.ask(self, progress: { received }) { () throws(DiffError) in
          present.firstMissing(in: part).map(request)
        }
        if let response, ![200, 206].contains(response.status) {
          throw DiffError.answered(response)
        }
        guard received > before else { throw DiffError(.io, "the server sends no bytes") }
      }
    } catch {
      save()
      throw error.at(path: "\(session.address)")
    }
  }

  private func request(_ range: Range<UInt64>) -> HTTPRequest {
    wanted = range
    var request = HTTPRequest(url: session.url)
    request.headers = [
      ("Accept-Encoding", "identity"),
      ("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"),
    ]
    // An object that was changed is sent as a whole, with another tag.
    if isOpen, let tag = validator.strongTag { request.headers.append(("If-Range", tag)) }
    return request
  }

  /// Records in the cache the bytes that have arrived.
  func save() {
    guard unsaved > 0 else { return }
    unsaved = 0
    cached?.save(
      CachedObject.State(size: size, validator: validator, present: present), of: local)
  }

  /// Leaves the cache as it is from now on.
  func forget() { unsaved = 0 }

  // MARK: Responses

  func begin(_ response: HTTPResponse) throws(DiffError) {
    (offset, end, ignored) = (0, 0, nil)
    switch response.status {
    case 206:
      guard let (range, whole) = response.contentRange else {
        throw DiffError(.io, "the server does not state which bytes it sends")
      }
      // Shorter ranges, which are permitted, could take as many requests as there are bytes.
      guard range == wanted.lowerBound..<min(wanted.upperBound, whole) else {
        throw DiffError(
          .io,
          "the server sends bytes \(range.lowerBound) to \(range.upperBound) for "
            + "\(wanted.lowerBound) to \(wanted.upperBound)")
      }
      try take(response, size: whole)
      (offset, end) = (range.lowerBound, range.upperBound)
    case 200:
      guard let whole = response.contentLength else {
        throw DiffError(.io, "the server does not state the length of what it sends")
      }
      try take(response, size: whole)
      // The server sends the whole object.
      try FreeSpace.require(whole, at: local.path)
      end = whole
    case 416 where response.sizeBeyondRange == 0:
      // An empty object has no range; the body is a message about that.
      try take(response, size: 0)
      ignored = 0
    default: ignored = 0
    }
  }

  /// Checks a response against the known state of the object, and takes over what it states.
  private func take(_ response: HTTPResponse, size whole: UInt64) throws(DiffError) {
    if let coding = response.headers["content-encoding"], coding.lowercased() != "identity" {
      throw DiffError(.io, "the server sends it with the content encoding '\(coding.prefix(16))'")
    }
    guard whole <= limit else {
      throw DiffError(
        .limit, "the server states a size of \(whole) bytes; the maximum is \(limit)")
    }
    let isSame = whole == size && validator.agrees(with: response.validator)
    if isOpen {
      guard isSame else {
        throw DiffError(.changed, "was changed on the server while it was read; try again")
      }
    } else if !isRevalidating || !isSame || response.validator.isEmpty {
      present = ByteRanges()
    }
    (size, validator, isOpen) = (whole, response.validator, true)
  }

  func receive(_ bytes: Span<UInt8>) throws(DiffError) {
    if let count = ignored {
      guard count < 1 << 20 else {
        throw DiffError(.io, "the server sends an endless error message")
      }
      ignored = count + bytes.count
      return
    }
    guard UInt64(bytes.count) <= end - offset else {
      throw DiffError(.io, "the server sends more bytes than it stated")
    }
    try local.write(bytes, at: offset)
    let new = present.insert(offset..<offset + UInt64(bytes.count))
    offset += UInt64(bytes.count)
    received += new
    unsaved += new
    if unsaved >= Self.saveInterval { save() }
  }
}
