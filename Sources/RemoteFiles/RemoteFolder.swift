import SystemSupport
import TensorCore

/// The objects below an address, which are read and, on S3, written one by one.
public final class RemoteFolder: Sendable {
  private let address: RemoteAddress
  let options: RemoteOptions

  /// Creates the folder of an address, without connecting to the server.
  ///
  /// - Parameter address: `http://…`, `https://…`, or `s3://BUCKET/PREFIX`.
  public init(_ address: RemoteAddress, _ options: RemoteOptions = RemoteOptions()) {
    self.address = address
    self.options = options
  }

  /// The address, without parts that may be secret.
  public var name: String {
    let text = "\(address)"
    return text.hasSuffix("/") ? String(text.dropLast()) : text
  }

  /// Returns the address of an object.
  public func address(of name: String) throws(DiffError) -> RemoteAddress {
    // A query, such as a token, applies to every object.
    let path = address.text.prefix { $0 != "?" && $0 != "#" }
    let rest = address.text[path.endIndex...].prefix { $0 != "#" }
    let folder = path.hasSuffix("/") ? path.dropLast() : path
    let name = address.scheme == .s3 ? name : S3Object.encoded(name, keeping: "/")
    guard let object = RemoteAddress("\(folder)/\(name)\(rest)") else {
      throw DiffError(.usage, "is not an address", path: name)
    }
    return object
  }

  func session(_ name: String) throws(DiffError) -> RemoteSession {
    try RemoteSession(address(of: name), options)
  }

  /// The contents of a small object at one moment.
  public struct Contents: Sendable, Hashable {
    /// All bytes.
    public var bytes: [UInt8]
    /// The entity tag; nil if a later state of the object may have the same one.
    public var tag: String?

    /// Creates contents that are known.
    public init(bytes: [UInt8], tag: String?) {
      self.bytes = bytes
      self.tag = tag
    }
  }

  /// Returns the contents of a small object, or nil if it does not exist.
  ///
  /// - Parameter known: contents that need not be sent again if they are still the same.
  /// - Throws: `limit` if the object has more than `limit` bytes.
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
    // A tag made of the time in seconds stays the same if the object changes again in this second.
    let isRecent = response.headers["last-modified"].map { $0 == response.headers["date"] } ?? false
    let isReliable = address.scheme == .s3 || !isRecent
    return Contents(bytes: receiver.bytes, tag: isReliable ? response.headers["etag"] : nil)
  }

  /// Fetches an object into an empty file. Where there is a cache, an attempt that fails leaves what has
  /// arrived there for the next one.
  ///
  /// - Throws: `limit` if the object has more than `limit` bytes; `noSpace`; the errors of
  ///   `RemoteFile`.
  package func fetch(_ name: String, limit: UInt64, into file: File) throws(DiffError) {
    var partial: CachedObject?
    if let cache = options.cache { partial = try CachedObject(address(of: name), in: cache) }
    let fetch = Fetch(try session(name), partial, partial?.file ?? file, limit: limit)
    try fetch.open()
    try FreeSpace.require(fetch.size, at: file.path)
    try fetch.require(0..<fetch.size)
    guard let partial else { return }
    try partial.file.copy(0..<fetch.size, to: file)
    fetch.forget()
    partial.remove()
  }
}

extension TextReceiver {
  /// Returns the error of an unexpected response, with the code of S3 in its text.
  func error(_ response: HTTPResponse, _ session: RemoteSession) -> DiffError {
    var error = DiffError.answered(response)
    if let code = element("Code") { error.message += ": \(code.prefix(64))" }
    return error.at(path: "\(session.address)")
  }

  /// Returns the content of the first XML element of a name.
  func element(_ name: String) -> Substring? {
    let text = text
    guard let start = text.firstRange(of: "<\(name)>"),
      let end = text[start.upperBound...].firstRange(of: "</\(name)>")
    else { return nil }
    return text[start.upperBound..<end.lowerBound]
  }
}
