import TensorCore

/// The URL and the signer of an object of S3.
package struct S3Object: Sendable {
  /// The URL of the object.
  package let url: String
  /// The signer of requests; nil without credentials.
  package let signer: S3Signer?

  /// Locates `s3://BUCKET/KEY`: on the server that the options or the variable
  /// `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` name, or on Amazon's in the region of
  /// `AWS_REGION`.
  ///
  /// - Throws: `usage` for an address without a bucket or a key, and for an invalid endpoint.
  package init(_ address: RemoteAddress, _ options: RemoteOptions) throws(DiffError) {
    let (bucket, rest) = address.parts
    let key = rest.drop { $0 == "/" }
    guard !bucket.isEmpty, !key.isEmpty, bucket.allSatisfy(Self.isOfBucket) else {
      throw DiffError(.usage, "does not name an object: s3://BUCKET/KEY")
    }
    let variables = options.environment
    let region = variables["AWS_REGION"] ?? variables["AWS_DEFAULT_REGION"] ?? "us-east-1"
    let endpoint =
      options.endpoint ?? variables["AWS_ENDPOINT_URL_S3"] ?? variables["AWS_ENDPOINT_URL"]
    let path = Self.encoded(String(key), keeping: "/")
    if let endpoint {
      guard let server = RemoteAddress(endpoint), server.scheme != .s3,
        !endpoint.contains(where: { "?#@".contains($0) })
      else {
        throw DiffError(
          .usage, "is not the address of a server: http://… or https://…", path: endpoint)
      }
      let root = server.parts.path.hasSuffix("/") ? server.parts.path.dropLast() : server.parts.path
      url = "\(server.scheme)://\(server.hostWithoutUsualPort)\(root)/\(bucket)/\(path)"
    } else if bucket.contains(".") {
      // Amazon's certificate does not cover names with further dots.
      url = "https://s3.\(region).amazonaws.com/\(bucket)/\(path)"
    } else {
      url = "https://\(bucket).s3.\(region).amazonaws.com/\(path)"
    }
    signer = S3Credentials(variables).map { S3Signer(credentials: $0, region: region) }
  }

  private static func isOfBucket(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || ".-_".contains(character))
  }

  /// Returns a text percent-encoded as S3 requires: all but unreserved characters (RFC 3986).
  static func encoded(_ text: String, keeping kept: String = "") -> String {
    let plain = Set("-._~\(kept)".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      let isAlphanumeric =
        UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte
        || UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
        || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
      if isAlphanumeric || plain.contains(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension RemoteAddress {
  /// The host, with a port only if it is not the default of the scheme: clients do not send that
  /// one, so it must not be signed.
  fileprivate var hostWithoutUsualPort: Substring {
    let usual = scheme == .https ? ":443" : ":80"
    return parts.host.hasSuffix(usual) ? parts.host.dropLast(usual.count) : parts.host
  }
}
