import Kernels
import RemoteFiles
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// S3 as moto (PyPI) serves it, with signatures checked by botocore: `s3_server.py`.
@Suite(
  .enabled(if: RemoteFile.isIncluded, "a build without the trait Network"),
  .enabled(if: LoopbackServer.hasMoto, "no moto[s3,server] for the Python of the tests"))
struct S3Tests {
  private static let script = Repository.path + "/Tests/RemoteFilesTests/s3_server.py"

  /// Runs `body` with options for the server.
  private func with(
    _ arguments: String..., body: (RemoteOptions) throws -> Void
  ) throws {
    try Scratch.with { scratch in
      try LoopbackServer.with([Self.script] + arguments) { server in
        var options = RemoteOptions()
        options.environment = [
          "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
          "AWS_SESSION_TOKEN": "token", "TMPDIR": scratch.path,
        ]
        options.endpoint = "http://127.0.0.1:\(server.port)"
        options.attempts = 3
        options.backOff = 0.01
        try body(options)
      }
    }
  }

  private func folder(_ options: RemoteOptions) throws -> RemoteFolder {
    RemoteFolder(try #require(RemoteAddress("s3://bucket/some prefix")), options)
  }

  @Test("objects are written, read, and removed", arguments: ["x", "a b/ü+~%.diff", "deep/er/x"])
  func objects(_ name: String) throws {
    try with { options in
      let folder = try self.folder(options)
      #expect(try folder.contents(of: name) == nil)
      let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      let tag = try #require(try folder.write(bytes, as: name))
      let found = try #require(try folder.contents(of: name))
      #expect(found.bytes == bytes)
      #expect(found.tag == tag)
      #expect(try folder.contents(of: name, besides: found) == found)
      let file = try RemoteFile(folder.address(of: name), options)
      #expect(file.size == 200_000)
      #expect(try file.bytes(199_000..<200_000) == Array(bytes[199_000...]))
      try folder.remove(name)
      try folder.remove(name)
      #expect(try folder.contents(of: name) == nil)
      let error = #expect(throws: DiffError.self) {
        try RemoteFile(folder.address(of: name), options)
      }
      #expect(error?.code == .notFound)
    }
  }

  @Test("a write takes place where its condition holds")
  func conditions() throws {
    try with { options in
      let folder = try self.folder(options)
      try folder.requireConditions()
      let first = try #require(try folder.write([1], as: "index", if: .absent))
      #expect(try folder.write([2], as: "index", if: .absent) == nil)
      let second = try #require(try folder.write([2], as: "index", if: .unchanged(first)))
      #expect(try folder.write([3], as: "index", if: .unchanged(first)) == nil)
      #expect(try folder.write([3], as: "nothing", if: .unchanged(first)) == nil)
      let found = try #require(try folder.contents(of: "index"))
      #expect(found.bytes == [2])
      #expect(found.tag == second)
    }
  }

  @Test("a large file is written in parts, and once")
  func parts() throws {
    try with { options in
      let folder = try self.folder(options)
      try Scratch.with { scratch in
        // Parts but the last have 5 MiB at least.
        var random = SplitMix64(seed: TestSeed.value &+ 22)
        let bytes = random.bytes(12_000_001)
        try write(bytes, toFile: scratch("large"))
        let file = try File(scratch("large"))
        #expect(try folder.write(file, as: "large", partSize: 5 << 20))
        #expect(try !folder.write(file, as: "large", partSize: 5 << 20))
        #expect(try !folder.write(file, as: "large"))
        let found = try RemoteFile(folder.address(of: "large"), options)
        #expect(found.size == 12_000_001)
        #expect(try found.bytes(0..<12_000_001) == bytes)
        let error = #expect(throws: DiffError.self) {
          try RemoteFolder(#require(RemoteAddress("s3://another/x")), options)
            .write(file, as: "large", partSize: 5 << 20)
        }
        #expect(error?.message.contains("NoSuchBucket") == true)
      }
    }
  }

  @Test("a server without entity tags is not written to, nor an object without one replaced")
  func tagless() throws {
    try with("tagless") { options in
      let folder = try folder(options)
      let probed = #expect(throws: DiffError.self) { try folder.requireConditions() }
      let replaced = #expect(throws: DiffError.self) {
        try folder.write([1], as: "x", if: .unchanged(""))
      }
      for error in [probed, replaced] {
        #expect(error?.code == .unsupported && error?.message.contains("no entity tags") == true)
      }
    }
  }

  @Test("a server that ignores conditions is not written to")
  func careless() throws {
    try with("careless") { options in
      let error = #expect(throws: DiffError.self) { try self.folder(options).requireConditions() }
      #expect(error?.code == .unsupported)
    }
  }

  @Test("wrong credentials, other buckets")
  func refusals() throws {
    try with { options in
      var wrong = options
      wrong.environment["AWS_SECRET_ACCESS_KEY"] = "another"
      let denied = #expect(throws: DiffError.self) { try self.folder(wrong).write([1], as: "x") }
      #expect(denied?.code == .denied)
      #expect(denied?.message.contains("SignatureDoesNotMatch") == true)
      let other = RemoteFolder(try #require(RemoteAddress("s3://another/x")), options)
      let missing = #expect(throws: DiffError.self) { try other.write([1], as: "x") }
      #expect(missing?.code == .notFound)
      #expect(missing?.message.contains("NoSuchBucket") == true)
    }
  }
}
