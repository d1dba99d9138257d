import CForkTrial
import Checkpoints
import DiffFormat
import DiffOperations
import Platform
import Synchronization
import SystemSupport
import TensorCore
import TestSupport

/// A diff and its base, and what those do with them who use the library at the same time.
final class Trial: @unchecked Sendable {
  /// How the diff is applied.
  enum Use: String {
    /// To a model in memory, which each user keeps.
    case memory
    /// To a checkpoint in files of its own, which each user keeps open.
    case safetensors, hdf5
  }

  /// What the program's arguments ask for.
  static let shared = Use(rawValue: CommandLine.arguments[1]).map {
    Trial($0, Scratch(path: CommandLine.arguments[4]))
  }

  private let use: Use
  private let folder: Scratch
  private let kept = (0..<Int(FORK_TRIAL_THREADS) + 2).map { _ in Kept() }

  /// What a user keeps, and no other touches.
  private final class Kept {
    var model: Overlay?
    var base: (any Checkpoint)?
  }

  private init(_ use: Use, _ folder: Scratch) {
    (self.use, self.folder) = (use, folder)
  }

  /// Makes base.safetensors, base.h5, and task.diff, which changes each tenth element.
  static func make(in folder: Scratch) throws {
    var random = SplitMix64(seed: 1)
    let base = (0..<1 << 20).map { _ in UInt32.random(in: 0..<1 << 30, using: &random) }
    var tuned = base
    for index in stride(from: 3, to: base.count, by: 10) { tuned[index] ^= 0x1001 }
    let shape = Shape(vector: UInt64(base.count))
    for (name, values) in [("base", base), ("tuned", tuned)] {
      for (suffix, format) in [("safetensors", CheckpointFormat.safetensors), ("h5", .hdf5)] {
        let (output, tensors) = try CheckpointFile.make(
          at: folder("\(name).\(suffix)"), format, [(TensorName("w"), .f32, shape)])
        try output.write(littleEndian(values).span, to: tensors[0], at: 0)
        try output.commit()
      }
    }
    let sink = try FileSink(folder("task.diff"))
    _ = try Diffs.create(
      from: CheckpointFile.open(folder("base.h5")), to: CheckpointFile.open(folder("tuned.h5")),
      into: sink)
    try sink.commit()
  }

  /// Applies the diff, and says whether the result is right.
  func isRight(for user: Int) throws -> Bool {
    let diff = try DiffReader(folder("task.diff"))
    guard isParallel else { return false }
    if use == .memory { return try serves(diff, kept[user]) }
    // A child's two users share what it got from its parent.
    return try writes(diff, kept[user > FORK_TRIAL_THREADS ? 0 : user])
  }

  /// Whether two turns of a loop can be under way at the same time, where there are two processors.
  private var isParallel: Bool {
    if ProcessorCount.online == 1 { return true }
    let arrived = Atomic(0)
    let met = Atomic(0)
    parallelFor(2) { _ in
      arrived.add(1, ordering: .relaxed)
      for _ in 0..<20_000 where arrived.load(ordering: .relaxed) < 2 { usleep(1000) }
      if arrived.load(ordering: .relaxed) == 2 { met.add(1, ordering: .relaxed) }
    }
    return met.load(ordering: .relaxed) == 2
  }

  private func serves(_ diff: DiffReader, _ kept: Kept) throws -> Bool {
    let overlay =
      try kept.model
      ?? Overlay(ResidentModel(CheckpointFile.open(folder("base.safetensors"))))
    kept.model = overlay
    func holds(_ expected: Fingerprint?) throws -> Bool {
      try overlay.read { view throws(DiffError) in
        .of(diff[0].type, diff[0].shape, try view.bytes(of: TensorName("w"))) == expected
      }
    }
    try overlay.attach(PreparedDiff([diff], for: overlay.model))
    guard try holds(diff[0].result) else { return false }
    overlay.detach()
    return try holds(diff[0].base)
  }

  private func writes(_ diff: DiffReader, _ kept: Kept) throws -> Bool {
    let suffix = use == .hdf5 ? "h5" : "safetensors"
    let base = try kept.base ?? CheckpointFile.open(folder("base.\(suffix)"))
    kept.base = base
    let path = folder("\(UInt64.random(in: 0 ... .max)).\(suffix)")
    defer { try? remove(path) }
    guard try Diffs.apply([diff], to: base, output: path) == .written(tensors: 1) else {
      return false
    }
    let made = try CheckpointFile.open(path)
    return try made.fingerprint(of: made.tensors[0]) == diff[0].result
  }
}
