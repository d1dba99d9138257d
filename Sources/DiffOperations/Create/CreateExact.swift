import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension TensorPair {
  /// A block of both tensors; its room is used again.
  private struct Work: Sendable {
    var base: [UInt8] = []
    var tuned: [UInt8] = []
    var baseHash = BlockHashes()
    var tunedHash = BlockHashes()
    var differences = Differences()
  }

  /// Writes an exact entry of a tensor that both have, unless it is unchanged.
  func writeExact(_ mode: CreateMode, _ writer: DiffWriter) throws(DiffError) -> WrittenPair {
    guard let base, let tuned else { return WrittenPair() }
    let operation: DiffOperation = mode == .replace ? .replace : .xor
    let width = UInt64(type.width)
    var baseBuilder = Fingerprint.Builder(type, shape)
    var tunedBuilder = baseBuilder
    var oldHash = XXH3Stream()
    var changes: UInt64 = 0
    var works = [Work](repeating: Work(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: byteCount, width: type.width) { window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try baseFile.read(base, window[index], into: &work.base)
        try tunedFile.read(tuned, window[index], into: &work.tuned)
        work.differences = Differences(
          from: work.base, to: work.tuned, width: type.width, at: window[index].lowerBound / width,
          mode == .replace ? .replace : .xor)
        work.baseHash = BlockHashes(work.base.span)
        work.tunedHash =
          work.differences.changes.isEmpty ? work.baseHash : BlockHashes(work.tuned.span)
      }
      for work in works.prefix(window.count) {
        baseBuilder.append(work.baseHash)
        tunedBuilder.append(work.tunedHash)
        let differences = work.differences
        guard !differences.changes.isEmpty else { continue }
        if changes == 0 { try writer.begin(DiffEntry(name, operation, type, shape)) }
        changes += UInt64(differences.changes.count)
        oldHash.update(differences.old.span)
        try writer.append(differences.changes)
      }
    }
    let written = WrittenPair(
      changes: changes > 0 ? changes : nil, base: baseBuilder.fingerprint,
      result: tunedBuilder.fingerprint)
    guard changes > 0 else { return written }
    try writer.end(base: written.base, result: written.result, old: oldHash.digest)
    return written
  }
}
