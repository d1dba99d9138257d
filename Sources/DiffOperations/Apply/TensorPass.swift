import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// What a tensor was found to be.
public enum TensorState: Sendable, Hashable {
  /// As the diff expects it before.
  case base
  /// As the diff leaves it.
  case result
  /// Something else.
  case other
}

/// How the base is recognised.
public enum Verification: String, Sendable, CaseIterable {
  /// By the hash of the old elements where they change: O(changes). Exact diffs only.
  case touched
  /// By the fingerprint of the whole tensor.
  case full
}

/// Takes one tensor from its source through a patch to an output, reading, hashing, changing and
/// writing each block while it is in a core's cache.
struct TensorPass {
  let plan: TensorPlan
  let source: any Checkpoint
  let verification: Verification
  /// Nil to look only.
  var output: (checkpoint: any CheckpointOutput, tensor: StoredTensor)?
  /// Whether the output holds a copy of the tensor, so that unchanged blocks need no writing.
  var outputHasCopy = false
  /// Whether the output is the source, of which single elements change.
  var isPatch = false
  /// Receives the differences of the blocks.
  var undo: UndoWriter?
  /// Whether the base may be another than the diff's.
  var acceptsAnyBase = false

  /// A block at work; its room is used again.
  private struct Work: Sendable {
    var base: [UInt8] = []
    var patched: [UInt8] = []
    var baseHash = BlockHashes()
    var patchedHash = BlockHashes()
    var isTouched = false
    var infinite = 0
    var oldValues: [UInt8] = []
    var newValues: [UInt8] = []
    var differences = Differences()
    /// The changed elements and what they were, for an output that is the source.
    var positions: [UInt32] = []
    var old: [UInt8] = []
  }

  /// Runs the pass and tells what the source was.
  ///
  /// - Complexity: O(bytes of the tensor); with `touched`, of the blocks that hold changes.
  func run(_ progress: inout ProgressCounter) throws(DiffError) -> TensorState {
    var infinite: UInt64 = 0
    return try run(&progress, &infinite)
  }

  /// The same, and counts the elements that additions make infinite.
  func run(
    _ progress: inout ProgressCounter, _ infinite: inout UInt64
  ) throws(DiffError) -> TensorState {
    var patch = plan.patch
    let width = UInt64(plan.type.width)
    var base = Fingerprint.Builder(plan.type, plan.shape)
    var result = base
    var oldHash = XXH3Stream()
    var newHash = XXH3Stream()
    var works = [Work](repeating: Work(), count: Blocks.perWindow)
    let existsBefore = plan.existsBefore
    try undo?.begin(plan)
    try Blocks.forEachWindow(of: plan.byteCount, width: plan.type.width) {
      window throws(DiffError) in
      let first = window[0].lowerBound / width
      try patch.move(to: first..<window[window.count - 1].upperBound / width)
      let patch = patch
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try self.work(&work, window[index], patch, existsBefore: existsBefore)
      }
      for work in works.prefix(window.count) {
        base.append(work.baseHash)
        result.append(work.patchedHash)
        oldHash.update(work.oldValues.span)
        newHash.update(work.newValues.span)
        try undo?.append(work.differences)
        infinite += UInt64(work.infinite)
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
      // Done is what the patch would take back, or, of new bits, what it leaves as it is.
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

  private func work(
    _ work: inout Work, _ block: Range<UInt64>, _ patch: Patch, existsBefore: Bool
  ) throws(DiffError) {
    let width = UInt64(plan.type.width)
    let elements = block.lowerBound / width..<block.upperBound / width
    work.isTouched = patch.touches(elements)
    work.differences = Differences()
    work.infinite = 0
    work.oldValues.removeAll(keepingCapacity: true)
    work.newValues.removeAll(keepingCapacity: true)
    if verification == .touched && !work.isTouched && outputHasCopy { return }
    if existsBefore, let stored = plan.stored {
      try read(stored, block, into: &work.base)
    } else {
      work.base = [UInt8](repeating: 0, count: Int(block.upperBound - block.lowerBound))
    }
    if verification == .full { work.baseHash = BlockHashes(work.base.span) }
    guard work.isTouched else {
      work.patchedHash = work.baseHash
      if !outputHasCopy { try write(work.base, at: block.lowerBound) }
      return
    }
    if verification == .touched { work.oldValues = patch.gather(work.base, elements) }
    if isPatch {
      work.positions = patch.positions(in: elements)
      work.old = Kernels.gathered(
        work.base.span, width: Int(width), at: work.positions.span)
    }
    if undo == nil {
      swap(&work.base, &work.patched)
    } else {
      work.patched.removeAll(keepingCapacity: true)
      work.patched += work.base
    }
    work.infinite = patch.apply(to: &work.patched, elements)
    if verification == .full {
      work.patchedHash = BlockHashes(work.patched.span)
    } else {
      work.newValues = patch.gather(work.patched, elements)
    }
    if undo != nil { work.differences = inverse(work.base, work.patched, at: elements.lowerBound) }
    guard isPatch, let (output, tensor) = output else {
      return try write(work.patched, at: block.lowerBound)
    }
    try output.write(
      work.patched.span, to: tensor, at: block.lowerBound, changing: work.positions.span,
      from: work.old.span)
  }

  private func read(
    _ stored: StoredTensor, _ block: Range<UInt64>, into room: inout [UInt8]
  ) throws(DiffError) {
    guard let output = output?.checkpoint else {
      return try source.read(stored, block, into: &room)
    }
    try room.withBlock(block) { span throws(DiffError) in
      if try output.readUnwritten(stored, at: block.lowerBound, into: &span) { return }
      try source.read(stored, at: block.lowerBound, into: &span)
    }
  }

  private func write(_ block: [UInt8], at offset: UInt64) throws(DiffError) {
    guard let output else { return }
    // What stood in the source and was not copied reads as zeros already; so holes stay holes.
    if plan.existsBefore && !outputHasCopy && Kernels.isZero(block.span) { return }
    try output.checkpoint.write(block.span, to: output.tensor, at: offset)
  }

  /// What takes a patched block back; of a tensor that comes or goes, the whole block.
  private func inverse(_ base: [UInt8], _ patched: [UInt8], at start: UInt64) -> Differences {
    let width = plan.type.width
    if plan.existsBefore && plan.existsAfter {
      return Differences(from: patched, to: base, width: width, at: start)
    }
    let whole = plan.existsBefore ? base : patched
    return Differences(ChangeRun(at: start, every: whole, width: width), old: [])
  }
}
