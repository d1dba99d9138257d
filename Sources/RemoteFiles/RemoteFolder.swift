import SystemSupport
import TensorCore

/// What stands below an address, read and, where it is S3's, written object by object.
public final class RemoteFolder: Sendable {
  private let address: RemoteAddress
  let options: RemoteOptions

  /// - Parameter address: `http://…`, `https://…`, or `s3://BUCKET/PREFIX`.
  public init(_ address: RemoteAddress, _ options: RemoteOptions = RemoteOptions()) {
    self.address = address
    self.options = options
  }

  /// The address, without what may be secret in it.
  public var name: String {
    let text = "\(address)"
    return text.hasSuffix("/") ? String(text.dropLast()) : text
  }

  /// The address of an object.
  public func address(of name: String) throws(DiffError) -> RemoteAddress {
    // A query, such as a token, goes with every object.
    let path = address.text.prefix { $0 != "?" && $0 != "#" }
    let rest = address.text[path.endIndex...].prefix { $0 != "#" }
    let folder = path.hasSuffix("/") ? path.dropLast() : path
    let name = address.scheme == .s3 ? name : S3Object.encoded(name, keeping: "/")
    guard let object = RemoteAddress("\(folder)/\(name)\(rest)") else {
      throw DiffError(.usage, "is no address", path: name)
    }
    return object
  }

  func session(_ name: String) throws(DiffError) -> RemoteSession {
    try RemoteSession(address(of: name), options)
  }

  /// A small object as it is at one moment.
  public struct Contents: Sendable, Hashable {
    /// All of it.
    public var bytes: [UInt8]
    /// The entity tag; nil where it may not tell a later state from this one.
    public var tag: String?

    /// Contents that are known.
    public init(bytes: [UInt8], tag: String?) {
      self.bytes = bytes
      self.tag = tag
    }
  }

  /// A small object; nil if there is none.
  ///
  /// - Parameter known: what it was, which does not come again.
  /// - Throws: `limit` for one of more bytes.
  public func contents(
    of name: String, limit: Int = 1 << 26, besides known: Contents? = nil
  ) throws(DiffError) -> Contents? {
    let session = try session(name)
    let receiver = TextReceiver(limit: limit)
    let response = try session.ask(receiver) {
      var request = HTTPRequest(url: session.url, headers: [("Accept-Encoding", "identity")])
      if let tag = known?.tag { request.headers.append(("If-None-Match", tag)) }
      return request
    }
    guard let response, response.status != 404 else { return nil }
    if response.status == 304, let known { return known }
    guard response.status == 200 else { throw receiver.error(response, session) }
    // Tags that are made of the time, in seconds, do not tell what changes later in this second.
    let isRecent = response.headers["last-modified"].map { $0 == response.headers["date"] } ?? false
    let tells = address.scheme == .s3 || !isRecent
    return Contents(bytes: receiver.bytes, tag: tells ? response.headers["etag"] : nil)
  }

  /// Brings an object into an empty file.
  ///
  /// - Throws: `limit` for one of more bytes than `limit`; `no-space`; what fetching throws.
  package func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError) {
    let fetch = Fetch(try session(name), nil, file, limit: limit)
    try fetch.open()
    try FreeSpace.require(fetch.size, at: file.path)
    try fetch.require(0..<fetch.size)
  }
}

extension TextReceiver {
  /// The error of an answer that is not what was asked for: S3 says in its text what is wrong.
  func error(_ response: HTTPResponse, _ session: RemoteSession) -> DiffError {
    var error = DiffError.answered(response)
    if let code = element("Code") { error.message += ": \(code.prefix(64))" }
    return error.at(path: "\(session.address)")
  }

  /// What stands in the first element of a name, of a text of XML.
  func element(_ name: String) -> Substring? {
    let text = text
    guard let start = text.firstRange(of: "<\(name)>"),
      let end = text[start.upperBound...].firstRange(of: "</\(name)>")
    else { return nil }
    return text[start.upperBound..<end.lowerBound]
  }
}
