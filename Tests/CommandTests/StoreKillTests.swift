import Checkpoints
import DiffOperations
import DiffStore
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// `kill -9` at random moments of all commands that change a store or a checkpoint. DIFFKIT_KILLS
/// sets the number of kills; 200 are required.
@Suite(.serialized) struct StoreKillTests {
  private static let kills =
    ProcessInfo.processInfo.environment["DIFFKIT_KILLS"].flatMap { Int($0) } ?? 24

  @Test("a store and a checkpoint are the old or the new ones, whenever a command is killed")
  func killed() throws {
    try Scratch.with { scratch in
      let seed = TestSeed.value
      var random = SplitMix64(seed: seed)
      let model = try BigModel(scratch, &random, elements: 500_000)
      let (store, served) = (scratch("runs"), scratch("served.h5"))
      expectSuccess(try Diffkit.run("store", "init", store, model.base, "--anchor-share", "0.02"))
      expectSuccess(try Diffkit.run("store", "add", store, model.tuned, "--name", "tuned"))
      expectSuccess(try Diffkit.run("store", "get", store, "base", "-o", served))
      var longest: [String: Double] = [:]
      var (killed, isTuned) = (0, false)
      var round = -1
      while killed < Self.kills {
        round += 1
        try #require(round < 20 * Self.kills, "seed \(seed): hardly a run is killed")
        let kinds = ["add", "switch", "compact", "prune"]
        let kind = kinds[round % kinds.count]
        let before = try Store(store).index
        let latest = before.versions.map(\.name)
        let arguments: [String]
        let next = isTuned ? model.base : model.tuned
        switch kind {
        case "add":
          isTuned.toggle()
          arguments = ["store", "add", store, next]
        case "switch":
          arguments = [
            "store", "switch", store, served, latest[Int(random.next() % UInt64(latest.count))],
            "--in-place",
          ]
        case "compact": arguments = ["store", "compact", store]
        default:
          arguments = [
            "store", "prune", store, "--keep", "base", "--keep", "tuned", "--newest", "3",
            "--grace", "0",
          ]
        }
        let delay = random.unit() * 1.2 * (longest[kind] ?? 0.3)
        let child = try ChildProcess.run(Diffkit.path, arguments, killedAfter: delay)
        let what: Comment = "seed \(seed), round \(round), \(kind) after \(delay) s"
        if child.ending == .signal(9) {
          killed += 1
        } else {
          #expect(child.ending == .exit(0), what)
          longest[kind] = max(longest[kind] ?? 0, child.seconds)
        }
        let after = try Store(store).index
        if after.generation != before.generation {
          #expect(after.generation == before.generation + 1, what)
          if kind == "add" {
            #expect(Array(after.versions.dropLast()) == before.versions, what)
            let added = try CheckpointFile.open(next).fingerprint()
            #expect(after.versions.last?.fingerprint == added, what)
          } else {
            #expect(kind != "switch" && Set(after.versions.map(\.name)).isSubset(of: latest), what)
          }
        } else {
          #expect(after == before, what)
        }
        expectSuccess(try Diffkit.run("recover", served))
        let check = try Diffkit.run("store", "check", store)
        #expect(check.code == 0, "\(what.rawValue): \(check.output)")
        // The checkpoint is at one of the versions, or at one before a prune.
        let hash = try Diffkit.run("inspect", served, "--hash", "--json").json(Hashed.self)
        let known = try Self.fingerprints(model)
        #expect(known.contains(hash.fingerprint), what)
      }
      // The files left by kills are found and removed.
      expectSuccess(try Diffkit.run("store", "prune", store, "--grace", "0"))
      let check = try Diffkit.run("store", "check", store, "--rebuild", "--json")
      #expect(check.code == 0)
      #expect(try check.json(Checked.self).unused == [])
      print("store: \(killed) of \(round + 1) runs killed, all old or new")
    }
  }

  private struct Hashed: Decodable { let fingerprint: String }

  private struct Checked: Decodable { let unused: [String] }

  private static func fingerprints(_ model: BigModel) throws -> [String] {
    try [model.base, model.tuned].map {
      try CheckpointFile.open($0).fingerprint()?.description ?? ""
    }
  }
}
