/// How servers are spoken to.
public struct RemoteOptions: Sendable {
  /// Seconds without any progress after which a connection is given up.
  public var timeout = 30
  /// How many attempts in a row may fail without any progress.
  public var attempts = 6
  /// Seconds before the second attempt; each further one waits twice as long, at most 8 s.
  public var backOff = 0.25
  /// A folder that keeps what was fetched, and unfinished fetches; nil to keep nothing.
  public var cache: String?
  /// The server that `s3://` addresses are on; nil for Amazon's.
  public var endpoint: String?
  /// Where credentials and settings come from that are not given: the process's environment.
  public var environment: [String: String]

  /// The defaults.
  public init() { environment = Environment.current }
}
