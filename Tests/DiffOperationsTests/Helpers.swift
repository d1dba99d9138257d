import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// The bytes of the diff from one checkpoint to another.
func diffBytes(
  _ base: any Checkpoint, _ tuned: any Checkpoint, _ options: CreateOptions = CreateOptions()
) throws -> [UInt8] {
  let sink = MemorySink()
  _ = try Diffs.create(from: base, to: tuned, into: sink, options)
  return sink.bytes
}

/// The diff from one checkpoint to another.
func diff(
  _ base: any Checkpoint, _ tuned: any Checkpoint, _ mode: CreateMode = .xor
) throws -> DiffReader {
  var options = CreateOptions()
  options.mode = mode
  return try DiffReader(bytes: diffBytes(base, tuned, options))
}

/// The result of `apply`; nil if nothing had to be changed.
func patched(
  _ base: MemoryCheckpoint, _ diffs: [DiffReader], _ direction: Direction = .apply,
  _ options: ApplyOptions = ApplyOptions()
) throws -> MemoryCheckpoint? {
  // Tests that run at the same time share checkpoints.
  let path = "made \(UInt64.random(in: 0 ... .max))"
  let outcome = try Diffs.apply(diffs, direction, to: base, output: path, options)
  #expect((base.output(path) == nil) == (outcome == .alreadyDone))
  return base.output(path)
}

/// The error of an `apply` that must write nothing.
func refusal(
  _ base: MemoryCheckpoint, _ diffs: [DiffReader], _ direction: Direction = .apply,
  _ options: ApplyOptions = ApplyOptions()
) -> DiffError? {
  let path = "refused \(UInt64.random(in: 0 ... .max))"
  let error = #expect(throws: DiffError.self) {
    try Diffs.apply(diffs, direction, to: base, output: path, options)
  }
  #expect(base.output(path) == nil)
  return error
}

/// Returns whether two checkpoints hold the same tensors, bit for bit.
func same(_ a: MemoryCheckpoint?, _ b: MemoryCheckpoint) -> Bool {
  guard let a = a?.all, a.count == b.tensors.count else { return false }
  return zip(a, b.all).allSatisfy {
    $0.name == $1.name && $0.type == $1.type && $0.shape == $1.shape
      && $0.bytes == $1.bytes
  }
}

/// The positions and stored values of an entry.
func changes(_ diff: DiffReader, _ entry: DiffEntry) throws -> (at: [UInt64], values: [UInt8]) {
  var pages = diff.pages(of: entry)
  var positions: [UInt64] = []
  var values: [UInt8] = []
  while let changes = try pages.next() {
    for i in 0..<changes.count { positions.append(changes.position(i)) }
    values.append(copying: changes.values)
  }
  return (positions, values)
}

extension ApplyOptions {
  static var touched: ApplyOptions {
    var options = ApplyOptions()
    options.verification = .touched
    return options
  }

  static var otherBase: ApplyOptions {
    var options = ApplyOptions()
    options.allowsOtherBase = true
    return options
  }
}

/// A float32 vector.
func vector(_ name: TensorName, _ values: [Float]) -> MemoryTensor {
  MemoryTensor(name, .f32, littleEndian(values))
}

/// Three small tensors in three states: unchanged, changed once, changed twice.
enum Steps {
  static let base = MemoryCheckpoint([
    vector("a", [1, 2, 3]), vector("b", [4, 5]), vector("c", [6, 7, 8, 9]),
  ])
  static let first = MemoryCheckpoint([
    vector("a", [1, 2.5, 3]), vector("b", [4.5, 5]), vector("c", [6, 7, 8, 9.5]),
  ])
  static let second = MemoryCheckpoint([
    vector("a", [1.5, 2.5, 3]), vector("b", [4.5, 5]), vector("c", [6, 7.5, 8, 10]),
  ])
}
