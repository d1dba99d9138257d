import Platform
import TensorCore

/// Asks the server of an address until it answers: once more after failures that may pass, after
/// pauses that grow, and elsewhere where it redirects to.
package final class RemoteSession {
  let address: RemoteAddress
  private let options: RemoteOptions
  private let connection: Connection
  /// The address as HTTP has it.
  package let url: String
  /// Signs what is asked of S3.
  private let signer: S3Signer?

  /// So many redirections are followed, and attempts made that bring something.
  private static let redirections = 5
  private static let mostAttempts = 1000
  /// Fewer bytes are no progress.
  private static let leastProgress: UInt64 = 4096

  /// - Throws: `usage` for an address that is none, `unsupported` in a build without libcurl.
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

  /// Asks.
  ///
  /// - Parameters:
  ///   - receiver: takes the body of every answer.
  ///   - progress: how many bytes of what is wanted have arrived so far: an attempt that brought some
  ///     does not count as failed.
  ///   - make: what to ask, before each attempt; nil if there is nothing left to ask.
  /// - Returns: the first answer that is no passing failure; nil if nothing was left to ask.
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
        failure = DiffError(.io, "the server answers \(response.status)")
        pause = response.headers["retry-after"].flatMap { Double($0) } ?? 0
      } catch {
        switch error {
        case .final(let error): throw error.at(path: "\(address)")
        case .passing(let error): failure = error
        }
      }
      failures = progress() - before >= Self.leastProgress ? 0 : failures + 1
      guard failures < options.attempts else {
        failure.message += "; given up after \(failures) attempts"
        throw failure.at(path: "\(address)")
      }
      if failures > 0 { wait(max(min(pause, 8), back(failures))) }
    }
    throw DiffError(
      .io, "the connection was cut \(Self.mostAttempts) times", path: "\(address)")
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
            "the server redirects what was signed for it"
              + (response.headers["x-amz-bucket-region"].map { "; the region is \($0)" } ?? "")))
      }
      guard let next = RemoteAddress(target), next.scheme == .https else {
        let scheme = target.prefix { $0 != ":" }.prefix(16)
        throw .final(
          DiffError(.io, "the server redirects to \(scheme):, and only https: is followed"))
      }
      request.url = next.withoutUser
    }
    throw .final(
      DiffError(.io, "the server redirects more than \(Self.redirections) times"))
  }
}

extension HTTPResponse {
  /// Whether the server may answer otherwise in a moment.
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
  /// The error of an answer that is not what was asked for.
  static func answered(_ response: HTTPResponse) -> DiffError {
    switch response.status {
    case 404, 410: DiffError(.notFound, "is not on the server (\(response.status))")
    case 401, 403: DiffError(.denied, "is not given out by the server (\(response.status))")
    case 412: DiffError(.changed, "was changed on the server in between")
    default: DiffError(.io, "the server answers \(response.status)")
    }
  }
}
