import Kernels
import TensorCore

/// The address of an object on a server: `http://…`, `https://…` or `s3://BUCKET/KEY`.
public struct RemoteAddress: Sendable, Hashable, CustomStringConvertible {
  /// How the server is spoken to.
  public enum Scheme: String, Sendable, CaseIterable { case http, https, s3 }

  /// How the server is spoken to.
  public let scheme: Scheme
  /// The whole address.
  let text: String

  /// The address that a text is; nil for a path.
  public init?(_ text: String) {
    guard let scheme = Scheme.allCases.first(where: { text.lowercased().hasPrefix("\($0)://") })
    else { return nil }
    self.scheme = scheme
    self.text = text
  }

  /// What follows the scheme.
  private var rest: Substring { text.dropFirst(scheme.rawValue.count + 3) }

  /// The host with its port and what a password may stand before, and the path with what follows.
  var parts: (host: Substring, path: Substring) {
    let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
    return (rest[..<end], rest[end...])
  }

  /// Fit for messages: without user, password, query and fragment, which may be secrets.
  public var description: String {
    let (host, path) = parts
    let shown = host.lastIndex(of: "@").map { host[host.index(after: $0)...] } ?? host
    return "\(scheme)://\(shown)\(path.prefix { $0 != "?" && $0 != "#" })"
  }
}

extension RemoteAddress {
  /// The name of what a cache keeps of it: nothing in it is secret.
  package var cacheName: String { SHA256.hash(Array(text.utf8)).hexadecimal }
}
