import Checkpoints
import DiffFormat
import TensorCore

extension TensorPair {
  /// Writes a tensor whose shape differs in the tuned checkpoint: the exclusive-or of the elements
  /// that both shapes have, and the remainder of each.
  ///
  /// - Complexity: O(bytes of both tensors), read twice.
  func writeReshape(
    _ base: StoredTensor, _ tuned: StoredTensor, _ writer: DiffWriter
  ) throws(DiffError) -> WrittenPair {
    let width = UInt64(base.type.width)
    let old = BoxLayout(of: base.shape, overlapping: tuned.shape)
    let new = BoxLayout(of: tuned.shape, overlapping: base.shape)
    var oldReader = BlockReader(base, in: baseFile)
    var newReader = BlockReader(tuned, in: tunedFile)
    var changes: UInt64 = 0
    try writer.begin(DiffEntry(name, .reshape(to: tuned.shape), base.type, base.shape))
    let box = base.shape.overlap(tuned.shape).count
    try Blocks.forEachWindow(of: box * width, width: Int(width)) { window throws(DiffError) in
      for block in window {
        let range = block.lowerBound / width..<block.upperBound / width
        let differences = Differences(
          from: try oldReader.read(old.ranges(ofBox: range)),
          to: try newReader.read(new.ranges(ofBox: range)), width: Int(width),
          at: range.lowerBound)
        changes += UInt64(differences.changes.count)
        try writer.append(differences.changes)
      }
    }
    try writer.begin(.oldRemainder)
    try writeRemainder(of: base, in: baseFile, old, writer)
    try writer.begin(.newRemainder)
    try writeRemainder(of: tuned, in: tunedFile, new, writer)
    let written = WrittenPair(
      changes: changes, base: try baseFile.fingerprint(of: base),
      result: try tunedFile.fingerprint(of: tuned))
    try writer.end(base: written.base, result: written.result)
    return written
  }

  /// Writes the elements outside the box.
  private func writeRemainder(
    of tensor: StoredTensor, in file: any Checkpoint, _ layout: BoxLayout, _ writer: DiffWriter
  ) throws(DiffError) {
    let width = tensor.type.width
    var buffer: [UInt8] = []
    var written: UInt64 = 0
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      for block in window {
        let range = block.lowerBound / UInt64(width)..<block.upperBound / UInt64(width)
        let runs = layout.runs(of: range)
        guard runs.contains(where: { !$0.isInside }) else { continue }
        try file.read(tensor, block, into: &buffer)
        var outside: [UInt8] = []
        var start = 0
        for run in runs {
          let end = start + run.count * width
          if !run.isInside { outside += buffer[start..<end] }
          start = end
        }
        try writer.append(at: written, every: outside.span)
        written += UInt64(outside.count / width)
      }
    }
  }
}
