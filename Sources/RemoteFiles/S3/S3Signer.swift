import Kernels
import Platform
import TensorCore

/// A signer of requests to S3 (AWS Signature Version 4: docs.aws.amazon.com, «Authenticating
/// Requests», with the hash of the payload among the headers).
package struct S3Signer: Sendable {
  let credentials: S3Credentials
  let region: String

  package init(credentials: S3Credentials, region: String) {
    self.credentials = credentials
    self.region = region
  }

  /// Adds the headers of a signature to a request with a URL of `S3Object`: its path is
  /// percent-encoded, its query ascending and encoded.
  ///
  /// - Parameter seconds: the present time in seconds since 1970.
  package func sign(_ request: inout HTTPRequest, at seconds: Int = time(nil)) {
    guard let address = RemoteAddress(request.url) else { return }
    let (host, rest) = address.parts
    let path = rest.prefix { $0 != "?" }
    let query = rest.dropFirst(path.count + 1)
    let stamp = Self.stamp(seconds)
    let payload = SHA256.hash(request.body ?? []).hexadecimal
    request.headers += [("x-amz-content-sha256", payload), ("x-amz-date", stamp)]
    if let token = credentials.token { request.headers.append(("x-amz-security-token", token)) }
    let signed = (request.headers + [("host", String(host))])
      .map { (name: $0.name.lowercased(), value: $0.value.trimmed) }
      .filter { Self.isSigned($0.name) }
      .sorted { $0.name < $1.name }
    let names = signed.map(\.name).joined(separator: ";")
    let canonical = [
      request.method.rawValue, path.isEmpty ? "/" : String(path), String(query),
      signed.map { "\($0.name):\($0.value)\n" }.joined(), names, payload,
    ].joined(separator: "\n")
    let scope = "\(stamp.prefix(8))/\(region)/s3/aws4_request"
    let text = [
      "AWS4-HMAC-SHA256", stamp, scope, SHA256.hash(Array(canonical.utf8)).hexadecimal,
    ].joined(separator: "\n")
    let signature = Self.signature(of: text, scope: scope, secret: credentials.secret)
    request.headers.append(
      (
        "Authorization",
        "AWS4-HMAC-SHA256 Credential=\(credentials.key)/\(scope),SignedHeaders=\(names),"
          + "Signature=\(signature)"
      ))
  }

  /// Returns the signature of a text with the key for a day, a region and a service.
  package static func signature(of text: String, scope: String, secret: String) -> String {
    var key = Array("AWS4\(secret)".utf8)
    for part in scope.split(separator: "/") {
      key = SHA256.authentication(String(part), key: key)
    }
    return SHA256.authentication(text, key: key).hexadecimal
  }

  /// Returns whether a header is signed: no proxy may change it.
  private static func isSigned(_ name: String) -> Bool {
    ["host", "range", "if-match", "if-none-match", "content-type", "date"].contains(name)
      || name.hasPrefix("x-amz-")
  }

  /// Returns a time in the form `20130524T000000Z`.
  private static func stamp(_ seconds: Int) -> String {
    var seconds = time_t(seconds)
    var parts = unsafe tm()
    unsafe gmtime_r(&seconds, &parts)
    let numbers = unsafe [
      parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
    ]
    let texts = numbers.map { $0 < 10 ? "0\($0)" : "\($0)" }
    return unsafe "\(parts.tm_year + 1900)" + texts[..<2].joined() + "T" + texts[2...].joined()
      + "Z"
  }
}
