import DiffFormat
import RemoteFiles
import TensorCore
import Testing
import TestSupport

/// `servers.py` over a file `data` of random bytes.
struct MisbehavingServer {
  let port: Int
  let bytes: [UInt8]
  let scratch: Scratch
  /// A file with the server's certificate, if it speaks TLS.
  let certificate: String?

  var scheme: String { certificate == nil ? "http" : "https" }

  static let script = Repository.path + "/Tests/RemoteFilesTests/servers.py"

  /// Serves so many bytes, over TLS if there is a certificate.
  static func with(
    _ count: Int, certificate: String? = nil, _ body: (MisbehavingServer) throws -> Void
  ) throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: TestSeed.value &+ 21)
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      try makeFolder(scratch("served"))
      try write(bytes, toFile: scratch("served/data"))
      try LoopbackServer.with(
        [script, scratch("served")] + (certificate.map { [$0] } ?? [])
      ) {
        try body(
          MisbehavingServer(
            port: $0.port, bytes: bytes, scratch: scratch, certificate: certificate))
      }
    }
  }

  /// The address of the data, served in a mode.
  func address(_ mode: String, user: String = "") throws -> RemoteAddress {
    try #require(RemoteAddress("\(scheme)://\(user)127.0.0.1:\(port)/\(mode)/data"))
  }

  /// Quick ones.
  var options: RemoteOptions {
    var options = RemoteOptions()
    options.timeout = 2
    options.attempts = 4
    options.backOff = 0.01
    options.environment = ["TMPDIR": scratch.path]
    options.environment["SSL_CERT_FILE"] = certificate
    return options
  }

  /// What was asked: mode, range, and the bytes that were sent, of the modes that end with a word.
  func log(_ mode: String) throws -> [(range: String, sent: Int)] {
    try lines().compactMap { line in
      let fields = line.split(separator: " ")
      guard fields.count == 3, fields[0] == mode, let sent = Int(fields[2]) else { return nil }
      return (String(fields[1]), sent)
    }
  }

  func lines() throws -> [Substring] {
    let receiver = TextReceiver()
    let log = try #require(RemoteAddress("\(scheme)://127.0.0.1:\(port)/log"))
    let session = try RemoteSession(log, options)
    _ = try session.ask(receiver) { HTTPRequest(url: session.url) }
    return receiver.text.split(separator: "\n")
  }
}

extension RemoteFile {
  /// A part of it.
  func bytes(_ range: Range<Int>) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: range.count)
    var span = bytes.mutableSpan
    try read(at: UInt64(range.lowerBound), into: &span)
    return bytes
  }
}
