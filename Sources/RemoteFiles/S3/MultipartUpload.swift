import SystemSupport
import TensorCore

/// An upload of a large file to S3 in parts, each of which is sent again if a connection fails. The
/// object appears as a whole, at the end.
package struct MultipartUpload {
  /// The size of a part in bytes; smaller files are written at once.
  package static let usualPartSize = 16 << 20
  /// The maximum number of parts in S3.
  private static let mostParts: UInt64 = 10_000

  private let session: RemoteSession
  private let partSize: Int

  init(_ session: RemoteSession, partSize: Int) {
    self.session = session
    self.partSize = partSize
  }

  /// Uploads a file as a new object.
  ///
  /// - Returns: whether it was written: an existing object is not replaced.
  func run(_ file: File, size: UInt64) throws(DiffError) -> Bool {
    let begun = try ask(.post, query: "uploads=", [])
    guard let identity = begun.receiver.element("UploadId") else {
      throw DiffError(
        .io, "the server did not start a multipart upload", path: "\(session.address)")
    }
    let upload = "uploadId=" + S3Object.encoded(String(identity))
    do throws(DiffError) {
      let tags = try send(file, size: size, to: upload)
      return try complete(tags, upload)
    } catch {
      // Otherwise the parts are kept, and charged for.
      _ = try? ask(.delete, query: upload, nil)
      throw error
    }
  }

  private func send(
    _ file: File, size: UInt64, to upload: String
  ) throws(DiffError) -> [String] {
    let length = max(UInt64(partSize), (size + Self.mostParts - 1) / Self.mostParts)
    var tags: [String] = []
    var offset: UInt64 = 0
    while offset < size {
      let part = try file.bytes(at: offset, count: Int(min(length, size - offset)))
      let sent = try ask(.put, query: "partNumber=\(tags.count + 1)&\(upload)", part)
      guard let tag = sent.response.headers["etag"] else {
        throw DiffError(
          .io, "the server returned no entity tag for a part", path: "\(session.address)")
      }
      tags.append(tag)
      offset += UInt64(part.count)
    }
    return tags
  }

  private func complete(_ tags: [String], _ upload: String) throws(DiffError) -> Bool {
    let parts = tags.enumerated().map { number, tag in
      "<Part><PartNumber>\(number + 1)</PartNumber><ETag>\(Self.escaped(tag))</ETag></Part>"
    }
    let text = "<CompleteMultipartUpload>\(parts.joined())</CompleteMultipartUpload>"
    let receiver = TextReceiver()
    let condition = RemoteFolder.Condition.absent.header
    let response = try session.ask(receiver) {
      request(.post, query: upload, Array(text.utf8), [condition])
    }
    let tag = try RemoteFolder.tag(response, receiver, session, isConditional: true)
    // The server sends the status before it completes the upload: an error is in the body.
    if tag != nil, let response, receiver.element("Code") != nil {
      throw receiver.error(response, session)
    }
    if tag == nil { _ = try? ask(.delete, query: upload, nil) }
    return tag != nil
  }

  private static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
  }

  private func request(
    _ method: HTTPRequest.Method, query: String, _ body: [UInt8]?,
    _ headers: [(name: String, value: String)] = []
  ) -> HTTPRequest {
    // Without a type libcurl states that of a form.
    let type = method == .post ? [(name: "Content-Type", value: "application/octet-stream")] : []
    return HTTPRequest(
      method: method, url: "\(session.url)?\(query)", headers: type + headers, body: body)
  }

  private func ask(
    _ method: HTTPRequest.Method, query: String, _ body: [UInt8]?
  ) throws(DiffError) -> (response: HTTPResponse, receiver: TextReceiver) {
    let receiver = TextReceiver()
    let response = try session.ask(receiver) { request(method, query: query, body) }
    guard let response, [200, 204].contains(response.status) else {
      throw receiver.error(response ?? HTTPResponse(), session)
    }
    return (response, receiver)
  }
}
