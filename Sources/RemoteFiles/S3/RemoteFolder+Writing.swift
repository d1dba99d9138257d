import SystemSupport
import TensorCore

extension RemoteFolder {
  /// What an object must be for a write to take place.
  public enum Condition: Sendable, Hashable {
    /// There must be none.
    case absent
    /// It must have this entity tag.
    case unchanged(String)

    var header: (name: String, value: String) {
      switch self {
      case .absent: ("If-None-Match", "*")
      case .unchanged(let tag): ("If-Match", tag)
      }
    }
  }

  /// Writes an object.
  ///
  /// - Returns: its new entity tag, or nil if the condition did not hold. After a connection that was
  ///   cut it may have been written all the same: the caller looks at what is there.
  /// - Throws: `denied`, `io`; `unsupported` for a server that is no S3.
  public func write(
    _ bytes: [UInt8], as name: String, if condition: Condition? = nil
  ) throws(DiffError) -> String? {
    let session = try writingSession(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      var request = HTTPRequest(method: .put, url: session.url, body: bytes)
      if let condition { request.headers.append(condition.header) }
      return request
    }
    return try Self.tag(response, receiver, session, isConditional: condition != nil)
  }

  /// Writes a file as a new object, in parts if it is large.
  ///
  /// - Returns: whether there was none of that name; otherwise that one stays.
  package func write(
    _ file: File, as name: String, partSize: Int = MultipartUpload.usualPartSize
  ) throws(DiffError) -> Bool {
    let size = try file.size
    guard size > partSize else {
      return try write(file.contents(), as: name, if: .absent) != nil
    }
    // Servers that know no condition here still do not lose what is there.
    guard try !exists(name) else { return false }
    let session = try writingSession(name)
    return try MultipartUpload(session, partSize: partSize).run(file, size: size)
  }

  /// Whether there is an object.
  func exists(_ name: String) throws(DiffError) -> Bool {
    let session = try session(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      HTTPRequest(url: session.url, headers: [("Range", "bytes=0-0")])
    }
    guard let response, response.status != 404 else { return false }
    guard [200, 206].contains(response.status) else { throw receiver.error(response, session) }
    return true
  }

  /// Removes an object, if there is one.
  public func remove(_ name: String) throws(DiffError) {
    let session = try writingSession(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      HTTPRequest(method: .delete, url: session.url)
    }
    guard let response, ![200, 204, 404].contains(response.status) else { return }
    throw receiver.error(response, session)
  }

  /// Finds out, by writing an object and trying to replace it, whether the server heeds conditions:
  /// without them two writers would overwrite each other.
  ///
  /// - Throws: `unsupported` if it does not.
  public func requireConditions() throws(DiffError) {
    let probe = ".diffkit-probe-\(UInt64.random(in: 0 ... .max))"
    let first = try write([1], as: probe, if: .absent)
    defer { try? remove(probe) }
    let second = try write([2], as: probe, if: .absent)
    let third = try write([3], as: probe, if: .unchanged("\"00000000000000000000000000000000\""))
    let fourth = try first.flatMap { (tag) throws(DiffError) in
      try write([4], as: probe, if: .unchanged(tag))
    }
    guard first != nil, second == nil, third == nil, fourth != nil else {
      throw DiffError(
        .unsupported,
        "the server does not heed the conditions of a write (If-None-Match, If-Match), so it is not "
          + "written to", path: name)
    }
  }

  private func writingSession(_ name: String) throws(DiffError) -> RemoteSession {
    let session = try session(name)
    guard session.address.scheme == .s3 else {
      throw DiffError(
        .unsupported, "is on a server that is read only; folders and s3 addresses are written to",
        path: self.name)
    }
    return session
  }

  /// The entity tag of what was written; nil if the condition did not hold.
  static func tag(
    _ response: HTTPResponse?, _ receiver: TextReceiver, _ session: RemoteSession,
    isConditional: Bool
  ) throws(DiffError) -> String? {
    // 409: another write of the object was under way; 404: what was to be unchanged is gone.
    guard let response, !isConditional || ![409, 412].contains(response.status) else { return nil }
    if response.status == 404, isConditional, receiver.element("Code") != "NoSuchBucket" {
      return nil
    }
    guard response.status == 200 else { throw receiver.error(response, session) }
    return response.headers["etag"] ?? ""
  }
}
