import Foundation
import SystemSupport
import TensorCore

/// A Python program that prints the port that it serves on loopback and ends with its standard input.
package final class LoopbackServer {
  package let port: Int
  private let process: Process
  private let input: Pipe

  /// The Python that tests run.
  package static let python =
    ProcessInfo.processInfo.environment["DIFFKIT_PYTHON"] ?? "python3"

  /// Whether that Python has what `s3_server.py` needs.
  package static let hasMoto: Bool = {
    let imports = "import botocore.auth, moto.server, werkzeug.serving"
    return (try? ChildProcess.run(python, ["-c", imports]))?.ending == .exit(0)
  }()

  /// Whether nginx is there.
  package static let hasNginx =
    (try? ChildProcess.run("nginx", ["-v"]))?.ending == .exit(0)

  /// Starts it.
  ///
  /// - Throws: if it prints no port.
  private init(_ arguments: [String]) throws {
    process = Process()
    input = Pipe()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [Self.python] + arguments
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var line: [UInt8] = []
    while let byte = try output.fileHandleForReading.read(upToCount: 1)?.first, byte != 10 {
      line.append(byte)
    }
    guard let port = Int(String(decoding: line, as: UTF8.self)) else {
      process.terminate()
      throw DiffError(.io, "does not serve", path: arguments.first)
    }
    self.port = port
  }

  /// Runs `body` while it serves.
  package static func with(
    _ arguments: [String], _ body: (LoopbackServer) throws -> Void
  ) throws {
    let server = try LoopbackServer(arguments)
    defer {
      try? server.input.fileHandleForWriting.close()
      server.process.waitUntilExit()
    }
    try body(server)
  }
}
