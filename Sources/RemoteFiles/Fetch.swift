import SystemSupport
import TensorCore

/// Brings an object of a server to a local file, range by range; each byte once, whatever cuts the
/// connection. Used by one thread at a time.
final class Fetch: BodyReceiver {
  private let session: RemoteSession
  private let cached: CachedObject?
  /// The most bytes that the object may have.
  private let limit: UInt64
  /// What has arrived stands where it stands in the object.
  let local: File
  /// The object's size, after `open`.
  private(set) var size: UInt64 = 0
  private var isOpen = false
  private var isRevalidating = false
  private var validator = Validator()
  private var present = ByteRanges()
  /// Bytes that have arrived for the first time, and those of them that the cache has not been told of.
  private(set) var received: UInt64 = 0
  private var unsaved: UInt64 = 0

  // The answer that is arriving.
  private var wanted: Range<UInt64> = 0..<0
  private var place: UInt64 = 0
  private var end: UInt64 = 0
  /// Bytes of a body that is no part of the object.
  private var idle: Int?

  /// Ranges are asked for in blocks of this size.
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

  /// Learns the object's size, and whether what the cache has of it is still right.
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
      // What the server sends all the same had better be something new.
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

  /// Makes sure that bytes are in the local file.
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
        guard received > before else { throw DiffError(.io, "the server sends none of its bytes") }
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
    // What was changed comes whole, under another tag.
    if isOpen, let tag = validator.strongTag { request.headers.append(("If-Range", tag)) }
    return request
  }

  /// Tells the cache what has arrived.
  func save() {
    guard unsaved > 0 else { return }
    unsaved = 0
    cached?.save(
      CachedObject.State(size: size, validator: validator, present: present), of: local)
  }

  // MARK: Answers

  func begin(_ response: HTTPResponse) throws(DiffError) {
    (place, end, idle) = (0, 0, nil)
    switch response.status {
    case 206:
      guard let (range, whole) = response.contentRange else {
        throw DiffError(.io, "the server does not state which bytes it sends")
      }
      guard range.lowerBound == wanted.lowerBound, range.upperBound <= wanted.upperBound else {
        throw DiffError(
          .io,
          "the server sends bytes \(range.lowerBound) to \(range.upperBound) for "
            + "\(wanted.lowerBound) to \(wanted.upperBound)")
      }
      try take(response, size: whole)
      (place, end) = (range.lowerBound, range.upperBound)
    case 200:
      guard let whole = response.contentLength else {
        throw DiffError(.io, "the server does not state the length of what it sends")
      }
      try take(response, size: whole)
      // All of it comes, wanted or not.
      try FreeSpace.require(whole, at: local.path)
      end = whole
    case 416 where response.sizeBeyondRange == 0:
      // Of nothing there is no range; what is said about that is no part of it.
      try take(response, size: 0)
      idle = 0
    default: idle = 0
    }
  }

  /// Compares an answer with what is known of the object.
  private func take(_ response: HTTPResponse, size whole: UInt64) throws(DiffError) {
    if let coding = response.headers["content-encoding"], coding.lowercased() != "identity" {
      throw DiffError(.io, "the server sends it in another coding (\(coding.prefix(16)))")
    }
    guard whole <= limit else {
      throw DiffError(
        .limit, "the server states a size of \(whole) bytes, and \(limit) are the most")
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
    if let count = idle {
      guard count < 1 << 20 else {
        throw DiffError(.io, "the server sends an endless message instead of bytes")
      }
      idle = count + bytes.count
      return
    }
    guard UInt64(bytes.count) <= end - place else {
      throw DiffError(.io, "the server sends more bytes than it stated")
    }
    try local.write(bytes, at: place)
    let new = present.insert(place..<place + UInt64(bytes.count))
    place += UInt64(bytes.count)
    received += new
    unsaved += new
    if unsaved >= Self.saveInterval { save() }
  }
}
