/// The options of connections to servers.
public struct RemoteOptions: Sendable {
  /// The number of seconds without progress after which a connection is given up.
  public var timeout = 30
  /// The number of attempts after which a request fails if none of them made progress.
  public var attempts = 6
  /// The number of seconds before the second attempt; each further one waits twice as long, at most
  /// 8 s.
  public var backOff = 0.25
  /// A folder that caches what was fetched, also in part; nil to cache nothing.
  public var cache: String?
  /// The server of `s3://` addresses; nil for Amazon's.
  public var endpoint: String?
  /// The variables of credentials and settings; by default the process's environment.
  public var environment: [String: String]

  /// Creates the default options.
  public init() { environment = Environment.current }
}
