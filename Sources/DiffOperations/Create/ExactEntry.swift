import Checkpoints
import DiffFormat
import TensorCore

extension DiffWriter {
  /// Writes what takes a tensor of the base to one of another checkpoint, exactly and both ways:
  /// the exclusive-or, or a reshape. Equal tensors have no entry.
  ///
  /// - Throws: `unsupported` if their types differ.
  /// - Complexity: O(bytes of both).
  package func writeExact(
    _ base: StoredTensor, in baseFile: any Checkpoint, to tuned: StoredTensor,
    in tunedFile: any Checkpoint
  ) throws(DiffError) {
    guard base.type == tuned.type else {
      throw DiffError(
        .unsupported, "is \(base.type) in the base and would be \(tuned.type): no diff holds that",
        path: baseFile.path, tensor: base.name)
    }
    let pair = TensorPair(
      name: base.name, base: base, tuned: tuned, baseFile: baseFile, tunedFile: tunedFile)
    if pair.isReshape {
      _ = try pair.writeReshape(base, tuned, self)
    } else {
      _ = try pair.writeExact(.xor, self)
    }
  }
}
