import Checkpoints
import DiffOperations
import Kernels
import RemoteFiles
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A store in a bucket of moto's S3 server.
@Suite(
  .serialized, .enabled(if: RemoteFile.isIncluded, "a build without the trait Network"),
  .enabled(if: LoopbackServer.hasMoto, "no moto[s3,server] for the Python of the tests"))
struct S3StoreTests {
  private static let script = Repository.path + "/Tests/RemoteFilesTests/s3_server.py"
  private static let store = "s3://bucket/some runs"

  /// diffkit with the credentials of the server.
  private struct Client {
    let endpoint: String
    let scratch: Scratch

    func run(_ arguments: String...) throws -> Answer {
      let variables = [
        "AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "AWS_SESSION_TOKEN=token",
        "AWS_ENDPOINT_URL=\(endpoint)", "TMPDIR=\(scratch.path)",
      ]
      return Answer(try .run("env", variables + ["timeout", "60", Diffkit.path] + arguments))
    }
  }

  private func with(_ arguments: String..., body: (Scratch, Client) throws -> Void) throws {
    try Scratch.with { scratch in
      try LoopbackServer.with([Self.script] + arguments) { server in
        try body(scratch, Client(endpoint: "http://127.0.0.1:\(server.port)", scratch: scratch))
      }
    }
  }

  /// Writes a small checkpoint of random bytes.
  private func make(
    _ path: String, _ random: inout SplitMix64, bytes: Int = 2000
  ) throws {
    let (output, stored) = try CheckpointFile.make(
      at: path, .safetensors, [("a", .u8, Shape(vector: UInt64(bytes)))], overwriting: false)
    try output.write(random.bytes(bytes).span, to: stored[0], at: 0)
    try output.commit()
  }

  @Test("a store is made, added to, read, tidied and fetched as in a folder")
  func commands() throws {
    try with { scratch, client in
      var random = SplitMix64(seed: TestSeed.value &+ 51)
      for name in ["base", "one", "two"] {
        // The anchor is larger than a part of an upload.
        try make(scratch(name), &random, bytes: 17_000_001)
      }
      let store = Self.store
      expectSuccess(
        try client.run("store", "init", store, scratch("base"), "--anchor-share", "100"), "'base'")
      expectTrouble(try client.run("store", "init", store, scratch("base")), "is a store already")
      expectSuccess(
        try client.run("store", "add", store, scratch("one"), "--name", "one"), "'one'")
      expectSuccess(
        try client.run("store", "add", store, scratch("two"), "--parent", "one"), "from 'one'")
      expectTrouble(
        try client.run("store", "add", store, scratch("two"), "--name", "one"), "'one' already")
      expectSuccess(try client.run("store", "rename", store, "one", "first"), "renamed to 'first'")
      expectSuccess(try client.run("store", "check", store, "--rebuild"), "sound; 3 versions")
      let served = scratch("served")
      expectSuccess(try client.run("store", "get", store, "base", "-o", served))
      expectSuccess(try client.run("store", "switch", store, served, "first", "--in-place"))
      #expect(try Self.fingerprint(served) == Self.fingerprint(scratch("one")))
      expectSuccess(
        try client.run("store", "fetch", store, "first", "--to", scratch("local")), "1 anchor")
      expectSuccess(try Diffkit.run("store", "check", scratch("local"), "--rebuild"), "sound")
      expectSuccess(try client.run("store", "remove", store, "first"), "1 version removed")
      expectSuccess(try client.run("store", "check", store, "--rebuild"), "sound; 2 versions")
      expectTrouble(try client.run("store", "prune", store), "not a folder")
      // Nothing is left of what was needed on the way.
      #expect(try scratch.names.filter { $0.hasPrefix("diffkit-") } == [])
    }
  }

  private static func fingerprint(_ path: String) throws -> String {
    try #require(try CheckpointFile.open(path).fingerprint()).description
  }

  @Test(
    "a server that ignores conditions, or sends no tags for them, is not written to",
    arguments: [("careless", "ignores the conditions"), ("tagless", "no entity tags")])
  func careless(server: String, words: String) throws {
    try with(server) { scratch, client in
      var random = SplitMix64(seed: TestSeed.value &+ 52)
      try make(scratch("base"), &random)
      expectTrouble(try client.run("store", "init", Self.store, scratch("base")), words)
    }
  }

  private struct Log: Decodable {
    struct Version: Decodable { let name, fingerprint: String }
    let versions: [Version]
  }

  /// How many versions two writers add; 200 are the bar, which DIFFKIT_APPENDS sets.
  private static let appends =
    ProcessInfo.processInfo.environment["DIFFKIT_APPENDS"].flatMap { Int($0) } ?? 40

  @Test("two writers in competition: no version is lost, none is mixed")
  func writers() throws {
    try with { scratch, client in
      var random = SplitMix64(seed: TestSeed.value &+ 53)
      try make(scratch("base"), &random)
      let each = Self.appends / 2
      for writer in ["a", "b"] {
        for number in 1...each { try make(scratch("\(writer)\(number)"), &random) }
      }
      expectSuccess(
        try client.run(
          "store", "init", Self.store, scratch("base"), "--anchor-share", "1e9", "--anchor-links",
          "25"))
      let program = """
        export AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret AWS_SESSION_TOKEN=token
        export AWS_ENDPOINT_URL=$3
        append() {
          for n in $(seq $5); do
            until "$1" store add "$2" "$4/$6$n" --name "$6$n" --cache "$4/cache-$6" \
              >/dev/null 2>"$4/errors"; do
              cat "$4/errors" >>"$4/lost"
              grep -q "try again" "$4/errors" || exit 1
            done
          done
        }
        : >"$4/lost"
        append "$@" a & append "$@" b & wait
        """.replacing("$4/errors", with: "$4/errors-$6")
      let answer = Answer(
        try .run(
          "sh",
          [
            "-c", program, "sh", Diffkit.path, Self.store, client.endpoint, scratch.path,
            "\(each)",
          ]))
      #expect(answer.errors == "")
      let lost = String(decoding: try contents(ofFile: scratch("lost")), as: UTF8.self)
      let lines = lost.split(separator: "\n")
      for line in lines { #expect(line.contains("was changed by another process"), "\(line)") }
      let log = try client.run("store", "log", Self.store, "--json").json(Log.self)
      #expect(log.versions.count == 1 + 2 * each)
      let found = Dictionary(uniqueKeysWithValues: log.versions.map { ($0.name, $0.fingerprint) })
      for writer in ["a", "b"] {
        for number in 1...each {
          let name = "\(writer)\(number)"
          #expect(try found[name] == Self.fingerprint(scratch(name)), "\(name)")
        }
      }
      expectSuccess(try client.run("store", "check", Self.store, "--rebuild"), "sound")
      print("two writers on S3: \(2 * each) versions, \(lines.count) attempts lost")
    }
  }
}
