import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// A tensor that is replaced by the one of another checkpoint.
struct TensorCopy {
  /// The name in the changed checkpoint.
  let name: TensorName
  /// The tensor in the changed checkpoint; nil if it is inserted.
  let stored: StoredTensor?
  /// The tensor with the new elements; nil if it is deleted.
  let source: (tensor: StoredTensor, checkpoint: any Checkpoint)?
  /// The fingerprints before and after.
  let before, after: Fingerprint?

  /// The buffers and hashes of one block.
  private struct BlockCopy: Sendable {
    var bytes: [UInt8] = []
    var hash = BlockHashes()
    var old: [UInt8] = []
    var oldHash = BlockHashes()
  }

  var byteCount: UInt64 { source?.tensor.byteCount ?? 0 }
  var changedBytes: UInt64 { byteCount }

  private var keepsShape: Bool { stored != nil && stored?.shape == source?.tensor.shape }

  /// True if all bytes are written, so that they need not be copied first.
  var isRewritten: Bool {
    guard case .contiguous? = stored?.storage else { return false }
    return keepsShape
  }

  /// True if only elements change, in place.
  var isPatchable: Bool {
    keepsShape && (byteCount == 0 || stored?.isChangeableInPlace == true)
  }

  /// The change of the tensor's row in the checkpoint's table.
  var tableChange: TableChange? {
    switch (stored, source?.tensor) {
    case (nil, let tensor?): .insert(name, tensor.type, tensor.shape)
    case (_?, nil): .delete(name)
    case (let stored?, let tensor?) where stored.shape != tensor.shape:
      .reshape(name, tensor.shape)
    default: nil
    }
  }

  /// Writes the tensor to the output; returns its fingerprint, or nil if it is deleted.
  ///
  /// - Throws: `wrong-base` if the tensor was not the expected one, `checksum` if the result is
  ///   not.
  /// - Complexity: O(bytes).
  func run(
    _ base: any Checkpoint, _ target: Target, _ progress: inout ProgressCounter
  ) throws(DiffError) -> Fingerprint? {
    guard let (tensor, checkpoint) = source else {
      guard let stored else { return nil }
      try requireOld(try base.fingerprint(of: stored), base)
      try target.output.delete(stored)
      return nil
    }
    if let stored, stored.type != tensor.type {
      throw DiffError(
        .unsupported, "changes its type from \(stored.type) to \(tensor.type)", path: base.path,
        tensor: name, remedy: .newOutput)
    }
    let row: StoredTensor
    if let stored {
      row = keepsShape ? stored : try target.output.reshape(stored, to: tensor.shape)
    } else {
      row = try target.output.insert(name, tensor.type, tensor.shape)
    }
    // In place, the old bytes are verified while they are read.
    let old = target.isPatch ? stored : nil
    var builder = Fingerprint.Builder(tensor.type, tensor.shape)
    var oldBuilder = builder
    var blocks = [BlockCopy](repeating: BlockCopy(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try checkpoint.read(tensor, window[index], into: &block.bytes)
        block.hash = BlockHashes(block.bytes.span)
        guard let old else {
          return try target.output.write(
            block.bytes.span, to: row, at: window[index].lowerBound)
        }
        try base.read(old, window[index], into: &block.old)
        block.oldHash = BlockHashes(block.old.span)
        let found = Differences(
          from: block.old, to: block.bytes, width: tensor.type.width, at: 0, .replace)
        guard !found.changes.isEmpty else { return }
        try target.output.write(
          block.bytes.span, to: row, at: window[index].lowerBound,
          changing: found.changes.offsets.span, from: found.old.span)
      }
      for block in blocks.prefix(window.count) {
        builder.append(block.hash)
        oldBuilder.append(block.oldHash)
      }
      let end = window[window.count - 1].upperBound
      try target.output.finish(row, upTo: end)
      progress.add(end - window[0].lowerBound)
    }
    if old != nil { try requireOld(oldBuilder.fingerprint, base) }
    if let after, !checksumsMatch(builder.fingerprint, after) {
      throw DiffError.inconsistent("elements of the result", builder.fingerprint, after)
        .at(path: checkpoint.path, tensor: name)
    }
    return builder.fingerprint
  }

  private func requireOld(_ found: Fingerprint, _ base: any Checkpoint) throws(DiffError) {
    guard let before, !checksumsMatch(found, before) else { return }
    throw DiffError(
      .wrongBase, "was changed after it was identified", path: base.path, tensor: name)
  }
}
