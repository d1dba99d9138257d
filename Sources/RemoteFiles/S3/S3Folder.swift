import TensorCore

/// What stands below a prefix of a bucket, read and written object by object.
public final class S3Folder {
  /// What an object must be for a write to take place.
  public enum Condition: Sendable, Hashable {
    /// There must be none.
    case absent
    /// It must have this entity tag.
    case unchanged(String)
  }

  private let address: RemoteAddress
  private let options: RemoteOptions

  /// - Parameter address: `s3://BUCKET/PREFIX`.
  public init(_ address: RemoteAddress, _ options: RemoteOptions = RemoteOptions()) {
    self.address = address
    self.options = options
  }

  private func session(_ name: String) throws(DiffError) -> RemoteSession {
    let folder = address.text.hasSuffix("/") ? String(address.text.dropLast()) : address.text
    guard let object = RemoteAddress("\(folder)/\(name)") else {
      throw DiffError(.usage, "is no address", path: name)
    }
    return try RemoteSession(object, options)
  }

  /// The address of an object.
  public func address(of name: String) throws(DiffError) -> RemoteAddress {
    try session(name).address
  }

  /// A small object and its entity tag; nil if there is none.
  public func contents(
    of name: String, limit: Int = 1 << 26
  ) throws(DiffError) -> (bytes: [UInt8], tag: String)? {
    let session = try session(name)
    let receiver = TextReceiver(limit: limit)
    let response = try session.ask(receiver) { HTTPRequest(url: session.url) }
    guard let response, response.status != 404 else { return nil }
    guard response.status == 200 else { throw Self.error(response, receiver, session) }
    return (receiver.bytes, response.headers["etag"] ?? "")
  }

  /// Writes an object.
  ///
  /// - Returns: its new entity tag, or nil if the condition did not hold. After a connection that was
  ///   cut it may have been written all the same: the caller looks at what is there.
  /// - Throws: `denied`, `io`.
  public func write(
    _ bytes: [UInt8], as name: String, if condition: Condition? = nil
  ) throws(DiffError) -> String? {
    let session = try session(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      var request = HTTPRequest(method: .put, url: session.url, body: bytes)
      switch condition {
      case .absent: request.headers.append(("If-None-Match", "*"))
      case .unchanged(let tag): request.headers.append(("If-Match", tag))
      case nil: break
      }
      return request
    }
    // 409: another write of the object was under way; 404: what was to be unchanged is gone.
    guard let response, ![409, 412].contains(response.status),
      !(response.status == 404 && condition != nil)
    else { return nil }
    guard response.status == 200 else { throw Self.error(response, receiver, session) }
    return response.headers["etag"] ?? ""
  }

  /// Removes an object, if there is one.
  public func remove(_ name: String) throws(DiffError) {
    let session = try session(name)
    let receiver = TextReceiver()
    let response = try session.ask(receiver) {
      HTTPRequest(method: .delete, url: session.url)
    }
    guard let response, ![200, 204, 404].contains(response.status) else { return }
    throw Self.error(response, receiver, session)
  }

  /// Finds out, by writing an object and trying to replace it, whether the server heeds conditions:
  /// without them two writers would overwrite each other.
  ///
  /// - Throws: `unsupported` if it does not.
  public func requireConditions() throws(DiffError) {
    let name = ".diffkit-probe-\(UInt64.random(in: 0 ... .max))"
    defer { try? remove(name) }
    let first = try write([1], as: name, if: .absent)
    let second = try write([2], as: name, if: .absent)
    let third = try write([3], as: name, if: .unchanged("\"00000000000000000000000000000000\""))
    let fourth = try first.flatMap { (tag) throws(DiffError) in
      try write([4], as: name, if: .unchanged(tag))
    }
    guard first != nil, second == nil, third == nil, fourth != nil else {
      throw DiffError(
        .unsupported,
        "the server does not heed the conditions of a write (If-None-Match, If-Match), so it is not "
          + "written to", path: "\(address)")
    }
  }

  private static func error(
    _ response: HTTPResponse, _ receiver: TextReceiver, _ session: RemoteSession
  ) -> DiffError {
    var error = DiffError.answered(response)
    // <Code>NoSuchBucket</Code> says it best.
    let text = receiver.text
    if let start = text.firstRange(of: "<Code>"),
      let end = text[start.upperBound...].firstRange(of: "</Code>")
    {
      error.message += ": \(text[start.upperBound..<end.lowerBound].prefix(64))"
    }
    return error.at(path: "\(session.address)")
  }
}
