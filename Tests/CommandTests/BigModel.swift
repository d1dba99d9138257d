import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import TestSupport

/// A base, a finetune of it that differs in 1 % of the elements, and the diff: large enough that
/// commands on them take a while.
struct BigModel {
  let base, tuned, diff: String

  /// - Parameter folder: The folder of the base, if not that of the rest.
  init(
    _ scratch: Scratch, in folder: Scratch? = nil, _ random: inout SplitMix64, elements: Int
  ) throws {
    base = (folder ?? scratch)("base.h5")
    (tuned, diff) = (scratch("tuned.h5"), scratch("task.diff"))
    let source = try CheckpointFile.open(Repository.base)
    let output = try source.makeOutput(at: base, rewriting: [], overwriting: false)
    let numbers = (0..<elements / 2).map { _ in random.next() }
    let big = try output.insert("weights", .f32, Shape(vector: UInt64(2 * numbers.count)))
    let bytes = littleEndian(numbers)
    try output.write(bytes.span, to: big, at: 0)
    try output.commit()
    let made = try CheckpointFile.open(base)
    let copy = try made.makeOutput(at: tuned, rewriting: [], overwriting: false)
    var changed = bytes
    for element in 0..<bytes.count / 4 where random.next() % 100 == 0 { changed[element * 4] ^= 1 }
    try copy.write(changed.span, to: big, at: 0)
    try copy.commit()
    let sink = try FileSink(diff)
    _ = try Diffs.create(from: made, to: CheckpointFile.open(tuned), into: sink)
    try sink.commit()
  }
}
