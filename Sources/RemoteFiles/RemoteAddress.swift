import Kernels
import TensorCore

/// The address of an object on a server: `http://…`, `https://…` or `s3://BUCKET/KEY`.
public struct RemoteAddress: Sendable, Hashable, CustomStringConvertible {
  /// The scheme of an address.
  public enum Scheme: String, Sendable, CaseIterable { case http, https, s3 }

  /// The scheme of the address.
  public let scheme: Scheme
  /// The whole address.
  let text: String

  /// Parses an address; returns nil for a path.
  public init?(_ text: String) {
    guard let scheme = Scheme.allCases.first(where: { text.lowercased().hasPrefix("\($0)://") })
    else { return nil }
    self.scheme = scheme
    self.text = text
  }

  /// The text after the scheme.
  private var rest: Substring { text.dropFirst(scheme.rawValue.count + 3) }

  /// The host, with any user, password and port, and the path, with any query and fragment.
  var parts: (host: Substring, path: Substring) {
    let end = rest.firstIndex { "/?#".contains($0) } ?? rest.endIndex
    return (rest[..<end], rest[end...])
  }

  /// The address for messages: without user, password, query and fragment, which may be secrets.
  public var description: String {
    let (host, path) = parts
    let shown = host.lastIndex(of: "@").map { host[host.index(after: $0)...] } ?? host
    return "\(scheme)://\(shown)\(path.prefix { $0 != "?" && $0 != "#" })"
  }
}

extension RemoteAddress {
  /// The name under which a cache keeps the object; it contains no secrets.
  package var cacheName: String { SHA256.hash(Array(text.utf8)).hexadecimal }
}
