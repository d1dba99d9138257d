import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// A tensor that becomes what another checkpoint has under its name.
struct TensorCopy {
  /// The name in the checkpoint that changes.
  let name: TensorName
  /// The tensor there; nil if it comes.
  let stored: StoredTensor?
  /// Where its elements are; nil if it goes.
  let source: (tensor: StoredTensor, checkpoint: any Checkpoint)?
  /// The tensor before and after.
  let before, after: Fingerprint?

  private struct Work: Sendable {
    var bytes: [UInt8] = []
    var hash = BlockHashes()
    var old: [UInt8] = []
    var oldHash = BlockHashes()
  }

  var byteCount: UInt64 { source?.tensor.byteCount ?? 0 }

  private var keepsShape: Bool { stored != nil && stored?.shape == source?.tensor.shape }

  /// Whether all its bytes are written, so that they need not be copied before.
  var isRewritten: Bool {
    guard case .contiguous? = stored?.storage else { return false }
    return keepsShape
  }

  /// Whether nothing but its elements changes, where they stand.
  var isPatchable: Bool {
    keepsShape && (byteCount == 0 || stored?.isChangeableInPlace == true)
  }

  /// What becomes of its row in the checkpoint's table.
  var tableChange: TableChange? {
    switch (stored, source?.tensor) {
    case (nil, let tensor?): .insert(name, tensor.type, tensor.shape)
    case (_?, nil): .delete(name)
    case (let stored?, let tensor?) where stored.shape != tensor.shape:
      .reshape(name, tensor.shape)
    default: nil
    }
  }

  /// Brings the tensor into the output; returns its fingerprint, or nil if it goes.
  ///
  /// - Throws: `wrong-base` if it was another one, `checksum` if it becomes another one than expected.
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
        .unsupported, "comes back as \(tensor.type), and is \(stored.type)", path: base.path,
        tensor: name, remedy: .newOutput)
    }
    let place: StoredTensor
    if let stored {
      place = keepsShape ? stored : try target.output.reshape(stored, to: tensor.shape)
    } else {
      place = try target.output.insert(name, tensor.type, tensor.shape)
    }
    // What is changed in place must be what it is taken for.
    let old = target.isPatch ? stored : nil
    var builder = Fingerprint.Builder(tensor.type, tensor.shape)
    var oldBuilder = builder
    var works = [Work](repeating: Work(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
      window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try checkpoint.read(tensor, window[index], into: &work.bytes)
        work.hash = BlockHashes(work.bytes.span)
        guard let old else {
          return try target.output.write(
            work.bytes.span, to: place, at: window[index].lowerBound)
        }
        try base.read(old, window[index], into: &work.old)
        work.oldHash = BlockHashes(work.old.span)
        let found = Differences(
          from: work.old, to: work.bytes, width: tensor.type.width, at: 0, .replace)
        guard !found.changes.isEmpty else { return }
        try target.output.write(
          work.bytes.span, to: place, at: window[index].lowerBound,
          changing: found.changes.offsets.span, from: found.old.span)
      }
      for work in works.prefix(window.count) {
        builder.append(work.hash)
        oldBuilder.append(work.oldHash)
      }
      let end = window[window.count - 1].upperBound
      try target.output.finish(place, upTo: end)
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
      .wrongBase, "has been changed since it was recognised", path: base.path, tensor: name)
  }
}
