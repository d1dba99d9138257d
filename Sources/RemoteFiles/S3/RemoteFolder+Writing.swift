import SystemSupport
import TensorCore

extension RemoteFolder {
  /// A condition under which an object is written.
  public enum Condition: Sendable, Hashable {
    /// There is no object of the name.
    case absent
    /// The object has this entity tag.
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
  /// - Returns: its new entity tag, or nil if the condition did not hold. If a connection was cut,
  ///   the object may have been written nevertheless: the caller must compare its contents.
  /// - Throws: `denied`, `io`; `unsupported` for a server other than S3, and for the condition that an
  ///   object without an entity tag is unchanged.
  public func write(
    _ bytes: [UInt8], as name: String, if condition: Condition? = nil
  ) throws(DiffError) -> String? {
    // A header without a value would not be sent, and the condition with it.
    guard condition != .unchanged("") else { throw withoutTags }
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
  /// - Returns: whether it was written: an existing object is not replaced.
  package func write(
    _ file: File, as name: String, partSize: Int = MultipartUpload.usualPartSize
  ) throws(DiffError) -> Bool {
    let size = try file.size
    guard size > partSize else {
      return try write(file.contents(), as: name, if: .absent) != nil
    }
    // For servers that ignore the condition of a multipart upload.
    guard try !exists(name) else { return false }
    let session = try writingSession(name)
    return try MultipartUpload(session, partSize: partSize).run(file, size: size)
  }

  /// Returns whether an object exists.
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

  /// Removes an object, if it exists.
  public func remove(_ name: String) throws(DiffError) {
    let session = try writingSession(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      HTTPRequest(method: .delete, url: session.url)
    }
    guard let response, ![200, 204, 404].contains(response.status) else { return }
    throw receiver.error(response, session)
  }

  /// Checks, by writing an object and trying to replace it, that the server respects conditions:
  /// without them two writers would overwrite each other's objects.
  ///
  /// - Throws: `unsupported` if it ignores them, or sends no entity tags.
  public func requireConditions() throws(DiffError) {
    let probe = ".diffkit-probe-\(UInt64.random(in: 0 ... .max))"
    let first = try write([1], as: probe, if: .absent)
    defer { try? remove(probe) }
    guard first != "" else { throw withoutTags }
    let second = try write([2], as: probe, if: .absent)
    let third = try write([3], as: probe, if: .unchanged("\"00000000000000000000000000000000\""))
    let fourth = try first.flatMap { (tag) throws(DiffError) in
      try write([4], as: probe, if: .unchanged(tag))
    }
    guard first != nil, second == nil, third == nil, fourth != nil else {
      throw DiffError(
        .unsupported,
        "the server ignores the conditions of a write (If-None-Match, If-Match), so nothing is "
          + "written to it", path: name)
    }
  }

  private var withoutTags: DiffError {
    DiffError(
      .unsupported,
      "the server sends no entity tags (ETag), by which it could tell one writer from another, so "
        + "nothing is written to it", path: name)
  }

  private func writingSession(_ name: String) throws(DiffError) -> RemoteSession {
    let session = try session(name)
    guard session.address.scheme == .s3 else {
      throw DiffError(
        .unsupported, "is read only; only folders and s3 addresses can be written to",
        path: self.name)
    }
    return session
  }

  /// Returns the entity tag of a written object, or nil if the condition did not hold.
  static func tag(
    _ response: HTTPResponse?, _ receiver: TextReceiver, _ session: RemoteSession,
    isConditional: Bool
  ) throws(DiffError) -> String? {
    // 409: another write of the object was in progress; 404: the object to replace is gone.
    guard let response, !isConditional || ![409, 412].contains(response.status) else { return nil }
    if response.status == 404, isConditional, receiver.element("Code") != "NoSuchBucket" {
      return nil
    }
    guard response.status == 200 else { throw receiver.error(response, session) }
    return response.headers["etag"] ?? ""
  }
}
