import Platform
import TensorCore

/// A session with the server of an address: repeats requests after transient failures, with growing
/// pauses, and follows redirections.
package final class RemoteSession {
  let address: RemoteAddress
  private let options: RemoteOptions
  private let connection: Connection
  /// The URL of the address.
  package let url: String
  /// Signs requests to S3; nil for other servers, and without credentials.
  private let signer: S3Signer?

  /// The maximum number of redirections that are followed.
  private static let redirections = 5
  /// The maximum number of attempts, with or without progress.
  private static let mostAttempts = 1000
  /// The number of bytes from which an attempt counts as progress.
  private static let leastProgress: UInt64 = 4096

  /// Creates a session, without connecting to the server.
  ///
  /// - Throws: `usage` for an invalid address, `unsupported` in a build without libcurl.
  package init(_ address: RemoteAddress, _ options: RemoteOptions) throws(DiffError) {
    self.address = address
    self.options = options
    do throws(DiffError) {
      if address.scheme == .s3 {
        let object = try S3Object(address, options)
        (url, signer) = (object.url, object.signer)
      } else {
        (url, signer) = (address.text, nil)
      }
      connection = try Connection(options)
    } catch { throw error.at(path: "\(address)") }
  }

  /// Sends a request until it succeeds or fails for good.
  ///
  /// - Parameters:
  ///   - receiver: takes the body of every response.
  ///   - progress: returns the number of bytes that have arrived so far: an attempt that raises it
  ///     does not count as failed.
  ///   - make: returns the request of the next attempt, or nil if there is nothing left to request.
  /// - Returns: the first response that is not a transient failure; nil if nothing was left to
  ///   request.
  package func ask(
    _ receiver: any BodyReceiver, progress: () -> UInt64 = { 0 },
    _ make: () throws(DiffError) -> HTTPRequest?
  ) throws(DiffError) -> HTTPResponse? {
    var failures = 0
    for _ in 0..<Self.mostAttempts {
      guard let request = try make() else { return nil }
      let before = progress()
      var failure: DiffError
      var pause = 0.0
      do throws(ExchangeFailure) {
        let response = try follow(request, receiver)
        guard response.isPassingFailure else { return response }
        failure = DiffError(.io, "the server responded with status \(response.status)")
        pause = response.retryAfter ?? 0
      } catch {
        switch error {
        case .final(let error): throw error.at(path: "\(address)")
        case .passing(let error): failure = error
        }
      }
      failures = progress() - before >= Self.leastProgress ? 0 : failures + 1
      guard failures < options.attempts else {
        failure.message += " (given up after \(failures) attempts)"
        failure.remedy = .tryLater
        throw failure.at(path: "\(address)")
      }
      if failures > 0 { wait(max(min(pause, 8), back(failures))) }
    }
    throw DiffError(
      .io, "the connection was cut \(Self.mostAttempts) times", path: "\(address)",
      remedy: .tryLater)
  }

  private func back(_ failures: Int) -> Double {
    min(8, options.backOff * Double(1 << (failures - 1))) * Double.random(in: 0.75...1.25)
  }

  private func wait(_ seconds: Double) { usleep(UInt32(seconds * 1e6)) }

  private func follow(
    _ request: HTTPRequest, _ receiver: any BodyReceiver
  ) throws(ExchangeFailure) -> HTTPResponse {
    var request = request
    signer?.sign(&request)
    for _ in 0...Self.redirections {
      let response = try connection.exchange(request, receiver)
      guard response.isRedirection, let target = response.redirection else { return response }
      guard signer == nil, request.method == .get else {
        throw .final(
          DiffError(
            .io,
            "the server redirects a request that was signed for it"
              + (response.headers["x-amz-bucket-region"].map { "; the region is \($0)" } ?? "")))
      }
      guard let next = RemoteAddress(target), next.scheme == .https else {
        let scheme = target.prefix { $0 != ":" }.prefix(16)
        throw .final(
          DiffError(.io, "the server redirects to \(scheme):; only https: is followed"))
      }
      request.url = next.withoutUser
    }
    throw .final(
      DiffError(.io, "the server redirects more than \(Self.redirections) times"))
  }
}

extension HTTPResponse {
  /// True if the server may respond differently in a moment.
  fileprivate var isPassingFailure: Bool { [408, 429, 500, 502, 503, 504].contains(status) }

  fileprivate var isRedirection: Bool { [301, 302, 303, 307, 308].contains(status) }
}

extension RemoteAddress {
  /// The address without a user and a password.
  fileprivate var withoutUser: String {
    let (host, path) = parts
    guard let at = host.lastIndex(of: "@") else { return text }
    return "\(scheme)://\(host[host.index(after: at)...])\(path)"
  }
}

extension DiffError {
  /// Returns the error of an unexpected response.
  static func answered(_ response: HTTPResponse) -> DiffError {
    switch response.status {
    case 404, 410: DiffError(.notFound, "is not on the server (\(response.status))")
    case 401, 403: DiffError(.denied, "the server denies access (\(response.status))")
    case 412: DiffError(.changed, "was changed on the server meanwhile")
    default: DiffError(.io, "the server responded with status \(response.status)")
    }
  }
}
