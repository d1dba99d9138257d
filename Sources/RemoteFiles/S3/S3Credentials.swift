/// The credentials of requests to S3.
package struct S3Credentials: Sendable, Hashable {
  package var key, secret: String
  /// The token of temporary credentials.
  package var token: String?

  package init(key: String, secret: String, token: String? = nil) {
    self.key = key
    self.secret = secret
    self.token = token
  }

  /// Reads the variables that Amazon's own programs read; returns nil if they are not set, which is
  /// enough for public objects.
  package init?(_ environment: [String: String]) {
    guard let key = environment["AWS_ACCESS_KEY_ID"],
      let secret = environment["AWS_SECRET_ACCESS_KEY"]
    else { return nil }
    self.init(key: key, secret: secret, token: environment["AWS_SESSION_TOKEN"])
  }
}
