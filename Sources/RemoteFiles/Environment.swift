import SystemSupport

/// The environment variables of the process that this module reads.
enum Environment {
  private static let names = [
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION",
    "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "SSL_CERT_FILE", "TMPDIR",
  ]

  static var current: [String: String] {
    var found: [String: String] = [:]
    for name in names {
      found[name] = ProgramFiles.environmentVariable(name)
    }
    return found.filter { !$0.value.isEmpty }
  }
}
