import Checkpoints
import DiffFormat
import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Damaged and malicious HDF5 files: the command ends with an error of one line or succeeds, within
/// ten seconds of processor time and 256 MB, whatever libhdf5 does in its process.
@Suite struct HostileTests {
  /// Runs a command with a limit of 256 MB of its own memory and ten seconds of processor
  /// time.
  private func run(_ arguments: [String], _ what: String) throws {
    let script = "ulimit -d 262144 && ulimit -t 10 && exec \"$@\""
    let child = try ChildProcess.run(
      "sh", ["-c", script, "sh", "timeout", "120", Diffkit.path] + arguments)
    let errors = String(decoding: child.errors, as: UTF8.self)
    #expect(
      child.ending == .exit(0) || child.ending == .exit(2),
      "\(what): \(child.ending) \(errors)")
    #expect(!errors.contains("(signal \(SIGXCPU))"), "\(what): \(errors)")
    if child.ending == .exit(2) {
      #expect(
        errors.hasPrefix("diffkit: ") && errors.count { $0 == "\n" } == 1, "\(what): \(errors)")
    }
  }

  /// Reads all tensors of a file, and makes a copy with one more tensor.
  private func attack(_ file: String, _ folder: Scratch, _ what: String) throws {
    try run(["convert", file, folder("all.safetensors"), "-q", "--force"], what + ", convert")
    try run(
      ["apply", file, folder("insert.diff"), "-o", folder("out.h5"), "-q", "--force"],
      what + ", apply")
    let names = try folder.names.filter { !$0.hasPrefix("mutated") }
    let expected: Set = ["all.safetensors", "insert.diff", "out.h5"]
    #expect(expected.isSuperset(of: names), "\(what)")
  }

  /// Makes a diff that adds a tensor, so that libhdf5 has to change the file.
  private func makeInsertion(_ path: String) throws {
    let sink = try FileSink(path)
    let writer = try DiffWriter(sink)
    let shape = Shape(vector: 4)
    let values = littleEndian([1, 2, 3, 4] as [Float])
    try writer.begin(
      DiffEntry("inserted/here", .insert, .f32, shape, result: .of(.f32, shape, values.span)))
    try writer.append(ChangeRun(at: 0, [0, 1, 2, 3], values))
    try writer.end()
    try writer.finish()
    try sink.commit()
  }

  private static let hostile = Repository.shared + "/hdf5-hostile"

  @Test("the public corpus of crashes", .enabled(if: Repository.haveShared, "needs ../shared"))
  func corpus() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.hostile).sorted()
    #expect(files.count == 69)
    try Scratch.with { folder in
      try makeInsertion(folder("insert.diff"))
      for file in files { try attack("\(Self.hostile)/\(file)", folder, file) }
    }
  }

  /// The number of mutations: that of `DIFFKIT_MUTATIONS`, such as 2000.
  private static let mutations =
    ProcessInfo.processInfo.environment["DIFFKIT_MUTATIONS"].flatMap { Int($0) } ?? 120

  @Test("files with flipped bits, overwritten or truncated")
  func mutated() throws {
    let folder = Repository.path + "/Tests/CheckpointsTests/Resources"
    try mutate(
      [
        "base.h5", "chunks.h5", "keras-base-gzip.h5", "keras-base-latest.h5", "keras-model.h5",
        "keras-weights.h5", "types.h5", "user-block.h5",
      ].map { "\(folder)/\($0)" })
  }

  @Test(
    "real files with flipped bits, overwritten or truncated",
    .enabled(if: Repository.haveShared, "needs ../shared"))
  func mutatedReal() throws {
    try mutate(
      ["corner.h5", "k3.weights.h5", "k3bf16.weights.h5", "k3legacy.h5", "track.h5", "ub.h5"]
        .map { "\(Repository.shared)/keras/\($0)" })
  }

  private func mutate(_ files: [String]) throws {
    let sources = try files.map { try contents(ofFile: $0) }
    let seeds = (0..<Self.mutations).map { TestSeed.value + UInt64($0) }
    try Scratch.with { folder in
      try parallelFor(2) { (half: Int) throws(DiffError) in
        do {
          let part = Scratch(path: folder("\(half)"))
          try makeFolder(part.path)
          try makeInsertion(part("insert.diff"))
          for seed in seeds where Int(seed % 2) == half {
            var random = SplitMix64(seed: seed)
            let source = sources[Int(random.next() % UInt64(sources.count))]
            let file = part("mutated.h5")
            try write(mutate(source, &random), toFile: file)
            try attack(file, part, "seed \(seed)")
            try remove(file)
          }
        } catch {
          Issue.record(error)
        }
      }
    }
  }

  private func mutate(_ source: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
    var bytes = source
    for _ in 0...random.next() % 4 {
      // Most of what libhdf5 parses is at the beginning of a file or block.
      let range = random.next() % 2 == 0 ? bytes.count : min(bytes.count, 4096)
      let offset = Int(random.next() % UInt64(range))
      switch random.next() % 8 {
      case 0 where bytes.count > 1024: bytes.removeLast(bytes.count - offset)
      case 0...3: bytes[offset] ^= 1 << UInt8(random.next() % 8)
      case 4: bytes[offset] = random.next() % 2 == 0 ? 0xFF : 0
      default:
        let number = random.next() >> (random.next() % 64)
        for index in 0..<min(8, bytes.count - offset) {
          bytes[offset + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
        }
      }
      if bytes.isEmpty { break }
    }
    return bytes
  }
}
