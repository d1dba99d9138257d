import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension TensorPair {
  /// Writes an exact entry of a tensor that both have, unless it is unchanged.
  func writeExact(_ mode: CreateMode, _ writer: DiffWriter) throws(DiffError) -> WrittenPair {
    guard let base, let tuned else { return WrittenPair() }
    let width = UInt64(type.width)
    var made = ExactEntry(
      DiffEntry(name, mode == .replace ? .replace : .xor, type, shape), to: writer)
    var blocks = [ExactEntry.Block](repeating: ExactEntry.Block(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: byteCount, width: type.width) { window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try baseFile.read(base, window[index], into: &block.base)
        try tunedFile.read(tuned, window[index], into: &block.tuned)
        block.compare(
          width: type.width, at: window[index].lowerBound / width,
          mode == .replace ? .replace : .xor)
      }
      for block in blocks.prefix(window.count) { try made.append(block) }
    }
    return try made.end()
  }
}

extension DiffWriter {
  /// Writes the exact, reversible difference of a tensor of the base and one of another checkpoint:
  /// the exclusive-or, or a reshape. Equal tensors have no entry.
  ///
  /// - Returns: the fingerprints of both.
  /// - Throws: `unsupported` if their types differ.
  /// - Complexity: O(bytes of both).
  package func writeExact(
    _ base: StoredTensor, in baseFile: any Checkpoint, to tuned: StoredTensor,
    in tunedFile: any Checkpoint
  ) throws(DiffError) -> WrittenPair {
    guard base.type == tuned.type else {
      throw DiffError(
        .unsupported,
        "is \(base.type) in the base, \(tuned.type) in the result: a diff cannot change a type",
        path: baseFile.path, tensor: base.name)
    }
    let pair = TensorPair(
      name: base.name, base: base, tuned: tuned, baseFile: baseFile, tunedFile: tunedFile)
    return try pair.isReshape
      ? pair.writeReshape(base, tuned, self) : pair.writeExact(.xor, self)
  }
}
