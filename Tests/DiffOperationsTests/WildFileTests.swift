import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Real HDF5 files: a change of every tensor round-trips, and everything else in the file is
/// unchanged.
@Suite struct WildFileTests {
  private static let shared: [String] = ["keras", "hdf5-features"].flatMap { folder in
    let path = Repository.shared + "/" + folder
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.filter { !$0.hasPrefix("COPYRIGHT") }.map { "\(path)/\($0)" }.sorted()
  }
  private static let resources = Repository.path + "/Tests/CheckpointsTests/Resources"

  /// A Python with h5py, which compares files independently.
  private static let python: String? = [
    ProcessInfo.processInfo.environment["DIFFKIT_PEERS_PYTHON"], "python3",
  ].compactMap { $0 }.first {
    (try? ChildProcess.run($0, ["-c", "import h5py"]))?.ending == .exit(0)
  }

  /// A copy without the tensors whose filters are not available.
  private func readable(_ path: String, _ copy: String) throws -> any Checkpoint {
    let file = try CheckpointFile.open(path)
    let output = try file.makeOutput(at: copy, rewriting: [], overwriting: false)
    for tensor in file.tensors where (try? file.fingerprint(of: tensor)) == nil {
      try output.delete(tensor)
    }
    try output.commit()
    return try CheckpointFile.open(copy)
  }

  /// Changes some elements of each tensor.
  private func tune(_ base: any Checkpoint, _ path: String) throws {
    let output = try base.makeOutput(at: path, rewriting: [], overwriting: false)
    for tensor in base.tensors where tensor.shape.count > 0 {
      var bytes = try base.bytes(of: tensor)
      for index in stride(from: 0, to: bytes.count, by: 97 * tensor.type.width) {
        bytes[index] ^= 1
      }
      try output.write(bytes.span, to: tensor, at: 0)
    }
    try output.commit()
  }

  private func expectSameObjects(_ mode: String, _ one: String, _ other: String) throws {
    guard let python = Self.python else { return }
    let script = Repository.path + "/Tests/DiffOperationsTests/objects.py"
    let child = try ChildProcess.run(python, [script, mode, one, other])
    let output = String(decoding: child.output + child.errors, as: UTF8.self)
    #expect(child.ending == .exit(0), "\(one) and \(other): \(output)")
  }

  @Test(
    "apply and revert leave everything else unchanged",
    arguments: [
      "base", "chunks", "keras-base", "keras-base-gzip", "keras-base-latest", "keras-model",
      "keras-tuned", "keras-weights", "types", "user-block",
    ])
  func ownFiles(name: String) throws { try roundTrip("\(Self.resources)/\(name).h5") }

  @Test(
    "apply and revert on real files leave everything else unchanged",
    .enabled(if: Repository.haveShared, "needs ../shared"), arguments: shared)
  func realFiles(path: String) throws { try roundTrip(path) }

  private func roundTrip(_ path: String) throws {
    try Scratch.with { scratch in
      let base = try readable(path, scratch("base.h5"))
      guard base.tensors.contains(where: { $0.shape.count > 0 }) else { return }
      try tune(base, scratch("tuned.h5"))
      var options = CreateOptions()
      options.includesOptimizer = true
      let tuned = try CheckpointFile.open(scratch("tuned.h5"))
      let made = try DiffReader(bytes: diffBytes(base, tuned, options))
      for verification in Verification.allCases {
        var options = ApplyOptions()
        options.verification = verification
        options.overwriting = true
        _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"), options)
        try expectEqual(scratch("applied.h5"), tuned)
        _ = try Diffs.apply(
          [made], .revert, to: CheckpointFile.open(scratch("applied.h5")),
          output: scratch("reverted.h5"), options)
        try expectEqual(scratch("reverted.h5"), base)
      }
      try expectSameObjects("structure", scratch("base.h5"), scratch("applied.h5"))
      try expectSameObjects("all", scratch("base.h5"), scratch("reverted.h5"))
    }
  }

  @Test(
    "h5py is available to compare objects",
    .disabled(if: python == nil, "no python3 with h5py; DIFFKIT_PEERS_PYTHON may name one"))
  func oracle() throws {
    let child = try ChildProcess.run(
      #require(Self.python),
      [Repository.path + "/Tests/DiffOperationsTests/objects.py", "all", Repository.base]
        + ["\(Self.resources)/chunks.h5"])
    #expect(child.ending == .exit(1))
  }

  @Test("optimizer state is left unchanged unless requested")
  func optimizer() throws { try leaveOptimizer("\(Self.resources)/keras-model.h5", tensors: 14) }

  @Test(
    "optimizer state of a real model is left unchanged unless requested",
    .enabled(if: Repository.haveShared, "needs ../shared"))
  func realOptimizer() throws {
    try leaveOptimizer(Repository.shared + "/keras/emotion_model.hdf5", tensors: 105)
  }

  private func leaveOptimizer(_ path: String, tensors count: Int) throws {
    try Scratch.with { scratch in
      let base = try CheckpointFile.open(path)
      try tune(base, scratch("tuned.h5"))
      let tuned = try CheckpointFile.open(scratch("tuned.h5"))
      let sink = MemorySink()
      let summary = try Diffs.create(from: base, to: tuned, into: sink)
      let state = base.tensors.filter(\.isOptimizerState)
      #expect(state.count == count)
      #expect(summary.tensors == base.tensors.count - state.count)
      #expect(
        summary.notCompared
          == [
            SkippedObject(name: "optimizer", reason: "\(count) tensors", remedy: .includeOptimizer)
          ])
      let made = try DiffReader(bytes: sink.bytes)
      #expect(made.allSatisfy { $0.name.parts[0] != "optimizer_weights" })
      _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"))
      let applied = try CheckpointFile.open(scratch("applied.h5"))
      for (one, other) in zip(state, applied.tensors.filter(\.isOptimizerState)) {
        #expect(try base.fingerprint(of: one) == applied.fingerprint(of: other))
      }
    }
  }

  @Test(
    "a tensor of another shape keeps its names, attributes and filters",
    arguments: ["base", "chunks", "types"])
  func reshaped(name: String) throws {
    try Scratch.with { scratch in
      let path = "\(Self.resources)/\(name).h5"
      let base = try CheckpointFile.open(path)
      let output = try base.makeOutput(at: scratch("grown.h5"), rewriting: [], overwriting: false)
      let chosen: Set<TensorName> = [
        "model/kernel:0", "model/half", "model/packed", "cube", "four", "plain", "scalar",
        "big/f4 packed", "bf16/own", "bf16/opaque", "empty chunks",
      ]
      for tensor in base.tensors where chosen.contains(tensor.name) {
        var extents = tensor.shape.extents
        if extents.isEmpty { extents = [2] } else { extents[0] += 3 }
        let grown = try output.reshape(tensor, to: #require(Shape(extents)))
        let bytes = [UInt8](repeating: 1, count: Int(grown.byteCount))
        try output.write(bytes.span, to: grown, at: 0)
      }
      try output.commit()
      let grown = try CheckpointFile.open(scratch("grown.h5"))
      let made = try diff(base, grown)
      _ = try Diffs.apply([made], to: base, output: scratch("applied.h5"))
      try expectEqual(scratch("applied.h5"), grown)
      try expectSameObjects("all", scratch("grown.h5"), scratch("applied.h5"))
      _ = try Diffs.apply([made], .revert, to: grown, output: scratch("reverted.h5"))
      try expectEqual(scratch("reverted.h5"), base)
      try expectSameObjects("all", path, scratch("reverted.h5"))
    }
  }
}
