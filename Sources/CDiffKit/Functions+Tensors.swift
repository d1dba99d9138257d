import CDiffKitHeader
import DiffOperations
import SystemSupport
import TensorCore

// What a diff does to several tensors in memory at once; `diffkit.h` says what the function does.

/// A tensor of the caller, what an entry does to it, and where its old elements go.
@unsafe private struct Target: @unchecked Sendable {
  let patch: BufferPatch
  let tensor: UnsafeMutableBufferPointer<UInt8>
  let old: UnsafeMutableBufferPointer<UInt8>?
  var error: DiffError?

  /// Decodes the entry and keeps the old elements: whatever can be refused, is.
  func prepare() throws(DiffError) {
    try unsafe patch.requireSparse()
    if let old = unsafe old {
      var elements = unsafe old.mutableSpan
      try unsafe patch.gather(tensor.span, into: &elements)
    } else {
      try unsafe patch.requireDecodable(for: tensor.count)
    }
  }

  func store() throws(DiffError) {
    var bytes = unsafe tensor.mutableSpan
    try unsafe patch.storeDecodable(into: &bytes)
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_apply_all(
  _ diff: OpaquePointer!, _ indices: UnsafePointer<Int>!,
  _ tensors: UnsafePointer<UnsafeMutableRawPointer?>!, _ sizes: UnsafePointer<Int>!,
  _ old: UnsafePointer<UnsafeMutableRawPointer?>!, _ count: Int, _ flags: UInt32,
  _ refused: UnsafeMutablePointer<Int>!
) -> CInt {
  status { () throws(DiffError) in
    guard flags & ~DIFFKIT_BACKWARDS == 0, count >= 0,
      unsafe (indices != nil && tensors != nil && sizes != nil) || count == 0
    else { throw .null }
    let object = try unsafe Diff.from(diff)
    let direction: Direction = flags & DIFFKIT_BACKWARDS == 0 ? .apply : .revert
    var targets = unsafe [Target]()
    for index in 0..<count {
      do throws(DiffError) {
        let entry = try object.entry(unsafe indices[index])
        let patch = try BufferPatch(object.reader, entry, direction)
        let kept = unsafe old == nil ? nil : unsafe old[index]
        let target = try unsafe Target(
          patch: patch, tensor: span(tensors[index], sizes[index]),
          old: kept == nil ? nil : span(kept, patch.elementBytes ?? -1))
        unsafe targets.append(target)
      } catch {
        unsafe refused?.pointee = index
        throw error
      }
    }
    // The functions of a caller's source are called on this thread alone.
    let isParallel = !(object.reader.source is CallbackSource)
    try unsafe run(&targets, isParallel, refused) { target throws(DiffError) in
      try unsafe target.prepare()
    }
    try unsafe run(&targets, isParallel, refused) { target throws(DiffError) in
      try unsafe target.store()
    }
    return DIFFKIT_OK
  }
}

/// Does the same with all targets, on all cores unless the diff is read on this thread; says which
/// was the first to fail.
@unsafe private func run(
  _ targets: inout [Target], _ isParallel: Bool, _ refused: UnsafeMutablePointer<Int>?,
  _ body: @Sendable (Target) throws(DiffError) -> Void
) throws(DiffError) {
  @Sendable func turn(_ target: inout Target) {
    do throws(DiffError) { try unsafe body(target) } catch { unsafe target.error = error }
  }
  if isParallel {
    try unsafe parallelForEach(&targets) { _, target in unsafe turn(&target) }
  } else {
    for index in unsafe targets.indices { unsafe turn(&targets[index]) }
  }
  guard let first = unsafe targets.firstIndex(where: { unsafe $0.error != nil }),
    let error = unsafe targets[first].error
  else { return }
  unsafe refused?.pointee = first
  throw error
}
