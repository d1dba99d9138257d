import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// The state of a tensor relative to a diff.
public enum TensorState: Sendable, Hashable {
  /// The tensor is the base.
  case base
  /// The tensor is the result.
  case result
  /// The tensor is neither.
  case other
}

/// The method of verifying the base.
public enum Verification: String, Sendable, CaseIterable {
  /// By the hash of the old elements at changed positions: O(changes). For exact diffs only.
  case touched
  /// By the fingerprint of the whole tensor.
  case full
}

/// Patches one tensor from its source to an output: reads, hashes, changes and writes each block
/// while it is in a core's cache.
struct TensorPass {
  let plan: TensorPlan
  let source: any Checkpoint
  let verification: Verification
  /// The tensor to write; nil to verify only.
  var output: (checkpoint: any CheckpointOutput, tensor: StoredTensor)?
  /// True if the output already holds a copy of the tensor, so that unchanged blocks are not
  /// written.
  var outputHasCopy = false
  /// True if the output is the source, changed in place.
  var isPatch = false
  /// The writer of the inverse, which receives the differences of the blocks.
  var undo: UndoWriter?
  /// True if a base other than the diff's is accepted.
  var acceptsAnyBase = false

  /// The buffers and results of one block, reused for the next.
  private struct BlockBuffers: Sendable {
    var base: [UInt8] = []
    var patched: [UInt8] = []
    var baseHash = BlockHashes()
    var patchedHash = BlockHashes()
    var isTouched = false
    var infinite = 0
    var oldValues: [UInt8] = []
    var newValues: [UInt8] = []
    var differences = Differences()
    /// The offsets of the changed elements and their old values, for an output that is the source.
    var positions: [UInt32] = []
    var old: [UInt8] = []
  }

  /// Runs the pass and returns the state of the source.
  ///
  /// - Complexity: O(bytes of the tensor); with `touched`, O(bytes of the blocks that hold
  ///   changes).
  func run(_ progress: inout ProgressCounter) throws(DiffError) -> TensorState {
    var infinite: UInt64 = 0
    return try run(&progress, &infinite)
  }

  /// Runs the pass, returns the state of the source, and counts the elements that additions make
  /// infinite.
  func run(
    _ progress: inout ProgressCounter, _ infinite: inout UInt64
  ) throws(DiffError) -> TensorState {
    var patch = plan.patch
    let width = UInt64(plan.type.width)
    var base = Fingerprint.Builder(plan.type, plan.shape)
    var result = base
    var oldHash = XXH3Stream()
    var newHash = XXH3Stream()
    var blocks = [BlockBuffers](repeating: BlockBuffers(), count: Blocks.perWindow)
    let existsBefore = plan.existsBefore
    try undo?.begin(plan)
    try Blocks.forEachWindow(of: plan.byteCount, width: plan.type.width) {
      window throws(DiffError) in
      let first = window[0].lowerBound / width
      try patch.move(to: first..<window[window.count - 1].upperBound / width)
      let patch = patch
      try parallelForEach(&blocks, count: window.count) { index, buffers throws(DiffError) in
        try process(window[index], patch, existsBefore: existsBefore, &buffers)
      }
      for buffers in blocks.prefix(window.count) {
        base.append(buffers.baseHash)
        result.append(buffers.patchedHash)
        oldHash.update(buffers.oldValues.span)
        newHash.update(buffers.newValues.span)
        try undo?.append(buffers.differences)
        infinite += UInt64(buffers.infinite)
      }
      if let (output, tensor) = output {
        try output.finish(tensor, upTo: window[window.count - 1].upperBound)
      }
      progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
    }
    if verification == .touched {
      let entry = plan.entries[0].entry
      let isReversed = plan.entries[0].isReversed
      let (here, there) = (oldHash.digest, newHash.digest)
      // At the result, an XOR patch restores the old elements, and a `replace` changes nothing.
      let isDone =
        entry.operation == .replace ? here == there : (isReversed ? here : there) == entry.old
      let state: TensorState =
        (isReversed ? there : here) == entry.old ? .base : isDone ? .result : .other
      if state == .base { try undo?.end(before: plan.before, after: plan.after) }
      return state
    }
    return try judge(base.fingerprint, result.fingerprint)
  }

  private func judge(
    _ base: Fingerprint, _ result: Fingerprint
  ) throws(DiffError) -> TensorState {
    if acceptsAnyBase {
      guard try !plan.isDone(base) else { return .result }
    } else {
      if plan.existsBefore && !checksumsMatch(base, plan.before) {
        return base == plan.after ? .result : .other
      }
      try plan.requireConsistent(result)
    }
    try undo?.end(
      before: plan.existsBefore ? base : nil, after: plan.existsAfter ? result : nil)
    return .base
  }

  private func process(
    _ block: Range<UInt64>, _ patch: Patch, existsBefore: Bool, _ buffers: inout BlockBuffers
  ) throws(DiffError) {
    let width = UInt64(plan.type.width)
    let elements = block.lowerBound / width..<block.upperBound / width
    buffers.isTouched = patch.touches(elements)
    buffers.differences = Differences()
    buffers.infinite = 0
    buffers.oldValues.removeAll(keepingCapacity: true)
    buffers.newValues.removeAll(keepingCapacity: true)
    if verification == .touched && !buffers.isTouched && outputHasCopy { return }
    if existsBefore, let stored = plan.stored {
      try read(stored, block, into: &buffers.base)
    } else {
      buffers.base = [UInt8](repeating: 0, count: Int(block.upperBound - block.lowerBound))
    }
    if verification == .full { buffers.baseHash = BlockHashes(buffers.base.span) }
    guard buffers.isTouched else {
      buffers.patchedHash = buffers.baseHash
      if !outputHasCopy { try write(buffers.base, at: block.lowerBound) }
      return
    }
    if verification == .touched { buffers.oldValues = patch.gather(buffers.base, elements) }
    if isPatch {
      buffers.positions = patch.positions(in: elements)
      buffers.old = Kernels.gathered(
        buffers.base.span, width: Int(width), at: buffers.positions.span)
    }
    if undo == nil {
      swap(&buffers.base, &buffers.patched)
    } else {
      buffers.patched.removeAll(keepingCapacity: true)
      buffers.patched += buffers.base
    }
    buffers.infinite = patch.apply(to: &buffers.patched, elements)
    if verification == .full {
      buffers.patchedHash = BlockHashes(buffers.patched.span)
    } else {
      buffers.newValues = patch.gather(buffers.patched, elements)
    }
    if undo != nil {
      buffers.differences = inverse(buffers.base, buffers.patched, at: elements.lowerBound)
    }
    guard isPatch, let (output, tensor) = output else {
      return try write(buffers.patched, at: block.lowerBound)
    }
    try output.write(
      buffers.patched.span, to: tensor, at: block.lowerBound, changing: buffers.positions.span,
      from: buffers.old.span)
  }

  private func read(
    _ stored: StoredTensor, _ block: Range<UInt64>, into buffer: inout [UInt8]
  ) throws(DiffError) {
    guard let output = output?.checkpoint else {
      return try source.read(stored, block, into: &buffer)
    }
    try buffer.withBlock(block) { span throws(DiffError) in
      if try output.readUnwritten(stored, at: block.lowerBound, into: &span) { return }
      try source.read(stored, at: block.lowerBound, into: &span)
    }
  }

  private func write(_ block: [UInt8], at offset: UInt64) throws(DiffError) {
    guard let output else { return }
    // Bytes of the output that were not copied read as zeros already; not writing them keeps holes.
    if plan.existsBefore && !outputHasCopy && Kernels.isZero(block.span) { return }
    try output.checkpoint.write(block.span, to: output.tensor, at: offset)
  }

  /// Returns the inverse of the changes to a block; for an inserted or deleted tensor, the whole
  /// block.
  private func inverse(_ base: [UInt8], _ patched: [UInt8], at start: UInt64) -> Differences {
    let width = plan.type.width
    if plan.existsBefore && plan.existsAfter {
      return Differences(from: patched, to: base, width: width, at: start)
    }
    let whole = plan.existsBefore ? base : patched
    return Differences(ChangeRun(at: start, every: whole, width: width), old: [])
  }
}
