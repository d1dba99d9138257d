import DiffFormat
import Kernels
import RemoteFiles
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite(.enabled(if: RemoteFile.isIncluded, "a build without the trait Network"))
struct RemoteFileTests {
  @Test("parts are fetched as they are read, the rest in one request")
  func ranges() throws {
    try MisbehavingServer.with(3_000_000) { server in
      let file = try RemoteFile(server.address("plain"), server.options)
      #expect(file.size == 3_000_000)
      #expect(try file.bytes(2_999_990..<3_000_000) == Array(server.bytes[2_999_990...]))
      #expect(try file.bytes(0..<100) == Array(server.bytes[..<100]))
      #expect(try file.bytes(1_000_000..<1_000_001) == [server.bytes[1_000_000]])
      let few = try server.log("plain")
      #expect(few.count == 3)
      #expect(few.map(\.sent).reduce(0, +) < 4 << 16)
      try file.fetchAll()
      #expect(try file.bytes(0..<3_000_000) == server.bytes)
      let all = try server.log("plain")
      #expect(all.map(\.sent).reduce(0, +) == 3_000_000)
      #expect(all.count <= 6)
      let end = #expect(throws: DiffError.self) { try file.bytes(2_999_999..<3_000_001) }
      #expect(end?.code == .truncated)
      // Nothing is left but the folder that is served.
      #expect(try server.scratch.names == ["served"])
    }
  }

  @Test("nginx: parts, the whole, nothing", .enabled(if: LoopbackServer.hasNginx, "no nginx"))
  func nginx() throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: TestSeed.value &+ 23)
      let bytes = random.bytes(1_000_000)
      try write(bytes, toFile: scratch("data"))
      try write([], toFile: scratch("empty"))
      let script = Repository.path + "/Tests/RemoteFilesTests/nginx_server.py"
      try LoopbackServer.with([script, scratch.path]) { server in
        func file(_ name: String) throws -> RemoteFile {
          try RemoteFile(#require(RemoteAddress("http://127.0.0.1:\(server.port)/\(name)")))
        }
        let data = try file("data")
        #expect(try data.bytes(500_000..<500_010) == Array(bytes[500_000..<500_010]))
        try data.fetchAll()
        #expect(try data.bytes(0..<1_000_000) == bytes)
        #expect(try file("empty").size == 0)
        let missing = #expect(throws: DiffError.self) { try file("nothing") }
        #expect(missing?.code == .notFound)
      }
    }
  }

  @Test("many threads read one file")
  func threads() throws {
    try MisbehavingServer.with(2_000_000) { server in
      let file = try RemoteFile(server.address("plain"), server.options)
      let bytes = server.bytes
      try parallelFor(40) { index throws(DiffError) in
        let at = index * 49_999
        var part = [UInt8](repeating: 0, count: 40_000)
        var span = part.mutableSpan
        try file.read(at: UInt64(at), into: &span)
        #expect(part == Array(bytes[at..<at + 40_000]))
      }
      #expect(try server.log("plain").map(\.sent).reduce(0, +) <= 2_000_000)
    }
  }

  @Test("a server without ranges sends the whole, once")
  func whole() throws {
    try MisbehavingServer.with(1_000_000) { server in
      var options = server.options
      // A busy machine is no reason to ask again.
      options.timeout = 60
      let file = try RemoteFile(server.address("whole"), options)
      #expect(try file.bytes(999_000..<1_000_000) == Array(server.bytes[999_000...]))
      #expect(try server.log("whole").count == 1)
    }
  }

  @Test("an empty object")
  func empty() throws {
    try MisbehavingServer.with(0) { server in
      let file = try RemoteFile(server.address("whole"), server.options)
      #expect(file.size == 0)
    }
  }

  @Test("100 connections cut at random bytes: each byte arrives once")
  func cuts() throws {
    try MisbehavingServer.with(20_000_000) { server in
      // A cut that brings less than 4 KiB is no progress.
      var options = server.options
      options.attempts = 20
      let file = try RemoteFile(server.address("cutting"), options)
      try file.fetchAll()
      #expect(try file.bytes(0..<20_000_000) == server.bytes)
      let log = try server.log("cutting")
      #expect(log.count > 100)
      #expect(log.map(\.sent).reduce(0, +) <= 20_400_000)
    }
  }

  @Test(
    "failures that pass are waited for, whatever pause the server asks for",
    arguments: ["failing", "later"])
  func failing(_ mode: String) throws {
    try MisbehavingServer.with(300_000) { server in
      let file = try RemoteFile(server.address(mode), server.options)
      try file.fetchAll()
      #expect(try file.bytes(0..<300_000) == server.bytes)
    }
  }

  static let refusals: [(mode: String, code: DiffError.Code, word: String)] = [
    ("dead", .io, "500 (given up after 4 attempts)"), ("denied", .denied, "403"),
    ("cutting_whole", .io, "given up"), ("shifted", .io, "sends bytes"),
    ("dripping", .io, "sends bytes 0 to 1 for"),
    ("unranged", .io, "which bytes"), ("unsized", .io, "the length"),
    ("more", .io, "more bytes than it stated"),
    ("header", .limit, "header"), ("packed", .io, "gzip"),
    ("slow", .io, "almost nothing"), ("to_file", .io, "redirects to file:"),
    ("to_http", .io, "redirects to http:"), ("nowhere", .io, "302"),
    ("endless_error", .io, "endless"), ("changing", .changed, "was changed"),
    ("growing", .changed, "was changed"),
  ]

  @Test("servers that lie or break down are refused by name", arguments: refusals.indices)
  func refusal(_ number: Int) throws {
    let (mode, code, word) = Self.refusals[number]
    try MisbehavingServer.with(500_000) { server in
      let clock = ContinuousClock()
      let start = clock.now
      let error = #expect(throws: DiffError.self) {
        let file = try RemoteFile(server.address(mode), server.options)
        try file.fetchAll()
      }
      #expect(error?.code == code, "\(mode): \(error?.description ?? "")")
      #expect(error?.message.contains(word) == true, "\(mode): \(error?.description ?? "")")
      #expect(error?.path == "http://127.0.0.1:\(server.port)/\(mode)/data")
      #expect(clock.now - start < .seconds(20))
      let names = try server.scratch.names
      #expect(names == ["served"])
    }
  }

  @Test("what is not there, and what nobody serves")
  func absent() throws {
    try MisbehavingServer.with(1) { server in
      let address = try #require(RemoteAddress("http://127.0.0.1:\(server.port)/plain/nothing"))
      let missing = #expect(throws: DiffError.self) { try RemoteFile(address, server.options) }
      #expect(missing?.code == .notFound)
      for text in ["http://127.0.0.1:1/x", "http://"] {
        let nowhere = try #require(RemoteAddress(text))
        #expect(throws: DiffError.self) { try RemoteFile(nowhere, server.options) }
      }
    }
  }

  @Test("a size that no disk holds is refused before it is fetched")
  func huge() throws {
    try MisbehavingServer.with(100_000) { server in
      let file = try RemoteFile(server.address("huge"), server.options)
      #expect(file.size == 1 << 60)
      #expect(throws: DiffError.self) { try file.fetchAll() }
    }
  }

  @Test("what is larger than it is to be is refused before it comes")
  func limited() throws {
    try MisbehavingServer.with(100_000) { server in
      for mode in ["huge_whole", "whole", "plain", "huge"] {
        let text = "http://127.0.0.1:\(server.port)/\(mode)"
        let folder = RemoteFolder(try #require(RemoteAddress(text)), server.options)
        let file = try File(creating: server.scratch(mode))
        let error = #expect(throws: DiffError.self) {
          try folder.fetch("data", limit: 99_999, into: file)
        }
        #expect(error?.code == .limit, "\(mode): \(error?.description ?? "")")
        #expect(try file.size <= 1 << 16)
      }
    }
  }

  // MARK: The cache

  @Test("a cached object is asked for once more, and not fetched")
  func cache() throws {
    try MisbehavingServer.with(700_000) { server in
      var options = server.options
      options.cache = server.scratch("cache")
      func fetch() throws {
        let file = try RemoteFile(server.address("plain"), options)
        try file.fetchAll()
        #expect(try file.bytes(0..<700_000) == server.bytes)
      }
      try fetch()
      try fetch()
      #expect(try server.log("plain").map(\.sent).reduce(0, +) == 700_000)
      #expect(try server.log("plain").last?.sent == 0)
      // Another state of what is known is none: it is fetched again.
      for name in try Folder.names(server.scratch("cache")) where name.hasSuffix(".json") {
        try remove(server.scratch("cache/" + name))
        try write(Array("{".utf8), toFile: server.scratch("cache/" + name))
      }
      try fetch()
      #expect(try server.log("plain").map(\.sent).reduce(0, +) == 1_400_000)
    }
  }

  /// Repeats what is given up, with the number of the attempt; returns the number of failures.
  private func failuresOf(_ attempt: (Int) throws -> Void) throws -> Int {
    var failures = 0
    while true {
      do {
        try attempt(failures)
        return failures
      } catch {
        failures += 1
        try #require(failures < 100)
      }
    }
  }

  @Test("a fetch that was given up goes on where it was")
  func resumed() throws {
    try MisbehavingServer.with(150_000) { server in
      var options = server.options
      options.cache = server.scratch("cache")
      options.attempts = 1
      let failures = try failuresOf { _ in
        let file = try RemoteFile(server.address("tiny"), options)
        try file.fetchAll()
        #expect(try file.bytes(0..<150_000) == server.bytes)
      }
      #expect(failures > 40)
      #expect(try server.log("tiny").map(\.sent).reduce(0, +) <= 153_000)
    }
  }

  @Test("a file of a folder that was given up goes on where it was; the cache is empty afterwards")
  func resumedFile() throws {
    try MisbehavingServer.with(150_000) { server in
      var options = server.options
      options.cache = server.scratch("cache")
      options.attempts = 1
      let address = try #require(RemoteAddress("http://127.0.0.1:\(server.port)/tiny"))
      let failures = try failuresOf { number in
        // Another process.
        let folder = RemoteFolder(address, options)
        let path = server.scratch("file-\(number)")
        try folder.fetch("data", limit: 150_000, into: File(creating: path))
        #expect(try contents(ofFile: path) == server.bytes)
      }
      #expect(failures > 40)
      #expect(try server.log("tiny").map(\.sent).reduce(0, +) <= 153_000)
      #expect(try Folder.names(server.scratch("cache")) == [])
    }
  }

  @Test("what changed on the server is fetched anew; what another process holds is left to it")
  func changedCache() throws {
    try MisbehavingServer.with(100_000) { server in
      var options = server.options
      options.cache = server.scratch("cache")
      let first = try RemoteFile(server.address("changing"), options)
      #expect(try first.bytes(0..<100) == Array(server.bytes[..<100]))
      // Held by the first: fetched aside.
      let second = try RemoteFile(server.address("changing"), options)
      #expect(try second.bytes(0..<100_000) == [UInt8](repeating: 0, count: 100_000))
    }
    try MisbehavingServer.with(100_000) { server in
      var options = server.options
      options.cache = server.scratch("cache")
      _ = try RemoteFile(server.address("changing"), options).bytes(0..<100)
      let again = try RemoteFile(server.address("changing"), options)
      #expect(try again.bytes(0..<100_000) == [UInt8](repeating: 0, count: 100_000))
    }
  }

  // MARK: TLS

  /// Runs `body` with a server whose certificate the options trust.
  private func withTLS(_ body: (MisbehavingServer) throws -> Void) throws {
    try Scratch.with { scratch in
      let made = try ChildProcess.run(
        "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
          "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
          "-keyout", scratch("key"), "-out", scratch("certificate"),
        ])
      try #require(made.ending == .exit(0), "openssl makes no certificate")
      let both = try contents(ofFile: scratch("key")) + contents(ofFile: scratch("certificate"))
      try write(both, toFile: scratch("both"))
      try MisbehavingServer.with(200_000, certificate: scratch("both"), body)
    }
  }

  @Test("TLS: a certificate that nobody vouches for is refused, whatever the server")
  func certificates() throws {
    try withTLS { server in
      let file = try RemoteFile(server.address("plain"), server.options)
      try file.fetchAll()
      #expect(try file.bytes(0..<200_000) == server.bytes)
      var options = server.options
      options.environment["SSL_CERT_FILE"] = nil
      let error = #expect(throws: DiffError.self) {
        try RemoteFile(server.address("plain"), options)
      }
      #expect(error?.message.contains("certificate") == true)
    }
  }

  @Test("redirections are followed to https, five times, and without the password")
  func redirections() throws {
    try withTLS { server in
      let loop = #expect(throws: DiffError.self) {
        try RemoteFile(server.address("loop"), server.options)
      }
      #expect(loop?.message.contains("more than 5 times") == true)
      #expect(try server.log("loop").count == 6)
      let file = try RemoteFile(server.address("moved", user: "me:secret@"), server.options)
      #expect(try file.bytes(0..<200_000) == server.bytes)
      #expect(file.name?.contains("secret") == false)
      let seen = try server.lines().filter { $0.hasPrefix("authorization") }
      #expect(seen.contains { $0.hasPrefix("authorization Basic") })
      #expect(seen.contains("authorization None"))
      let moved = try server.log("moved").count
      #expect(seen.count { $0.hasPrefix("authorization Basic") } == moved)
    }
  }
}
