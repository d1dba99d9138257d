import CDiffKitHeader
import DiffFormat
import DiffOperations
import TensorCore

// Operations of diffs on tensors in memory; `diffkit.h` documents each function.

/// See `diffkit.h`.
@c @implementation public func diffkit_apply(
  _ diff: OpaquePointer!, _ index: Int, _ tensor: UnsafeMutableRawPointer!, _ size: Int,
  _ flags: UInt32
) -> CInt { unsafe store(.apply, diff, index, tensor, size, flags) }

/// See `diffkit.h`.
@c @implementation public func diffkit_revert(
  _ diff: OpaquePointer!, _ index: Int, _ tensor: UnsafeMutableRawPointer!, _ size: Int,
  _ flags: UInt32
) -> CInt { unsafe store(.revert, diff, index, tensor, size, flags) }

@unsafe private func store(
  _ direction: Direction, _ handle: OpaquePointer?, _ index: Int,
  _ tensor: UnsafeMutableRawPointer?, _ size: Int, _ flags: UInt32
) -> CInt {
  status { () throws(DiffError) in
    guard flags & ~DIFFKIT_UNVERIFIED == 0 else { throw .null }
    let patch = try unsafe patch(handle, index, direction)
    var bytes = unsafe try span(tensor, size).mutableSpan
    let isChanged = try patch.store(into: &bytes, verifying: flags & DIFFKIT_UNVERIFIED == 0)
    return isChanged ? DIFFKIT_OK : DIFFKIT_ALREADY_DONE
  }
}

@unsafe private func patch(
  _ handle: OpaquePointer?, _ index: Int, _ direction: Direction = .apply
) throws(DiffError) -> BufferPatch {
  let diff = try unsafe Diff.from(handle)
  return try BufferPatch(diff.reader, diff.entry(index), direction)
}

/// See `diffkit.h`.
@c @implementation public func diffkit_verify(
  _ diff: OpaquePointer!, _ index: Int, _ tensor: UnsafeRawPointer!, _ size: Int,
  _ state: UnsafeMutablePointer<CInt>!
) -> CInt {
  status { () throws(DiffError) in
    let object = try unsafe Diff.from(diff)
    guard let out = unsafe state else { throw .null }
    let found = try unsafe BufferPatch.state(
      of: span(tensor, size).span, object.entry(index), in: object.reader)
    unsafe out.pointee =
      switch found {
      case .base: DIFFKIT_IS_BASE
      case .result: DIFFKIT_IS_RESULT
      case .other: DIFFKIT_IS_OTHER
      case nil: DIFFKIT_IS_UNKNOWN
      }
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_reshape(
  _ diff: OpaquePointer!, _ index: Int, _ before: UnsafeRawPointer!, _ beforeSize: Int,
  _ after: UnsafeMutableRawPointer!, _ afterSize: Int, _ flags: UInt32
) -> CInt {
  status { () throws(DiffError) in
    guard flags & ~(DIFFKIT_UNVERIFIED | DIFFKIT_BACKWARDS) == 0 else { throw .null }
    let object = try unsafe Diff.from(diff)
    let reshape = try BufferReshape(
      object.reader, object.entry(index), flags & DIFFKIT_BACKWARDS == 0 ? .apply : .revert)
    var made = unsafe try span(after, afterSize).mutableSpan
    try unsafe reshape.run(
      span(before, beforeSize).span, into: &made, verifying: flags & DIFFKIT_UNVERIFIED == 0)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_gather(
  _ diff: OpaquePointer!, _ index: Int, _ tensor: UnsafeRawPointer!, _ size: Int,
  _ elements: UnsafeMutableRawPointer!, _ capacity: Int
) -> CInt {
  status { () throws(DiffError) in
    let patch = try unsafe patch(diff, index)
    var out = unsafe try span(elements, patch.elementBytes(capacity)).mutableSpan
    try unsafe patch.gather(span(tensor, size).span, into: &out)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_change(
  _ diff: OpaquePointer!, _ index: Int, _ elements: UnsafeMutableRawPointer!, _ capacity: Int
) -> CInt {
  status { () throws(DiffError) in
    let patch = try unsafe patch(diff, index)
    var bytes = unsafe try span(elements, patch.elementBytes(capacity)).mutableSpan
    try patch.change(&bytes)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_scatter(
  _ diff: OpaquePointer!, _ index: Int, _ tensor: UnsafeMutableRawPointer!, _ size: Int,
  _ elements: UnsafeRawPointer!, _ expected: UnsafeRawPointer!, _ capacity: Int
) -> CInt {
  status { () throws(DiffError) in
    let patch = try unsafe patch(diff, index)
    let count = try patch.elementBytes(capacity)
    var bytes = unsafe try span(tensor, size).mutableSpan
    let wanted = unsafe expected == nil ? nil : try span(expected, count).span
    try unsafe patch.scatter(span(elements, count).span, into: &bytes, expecting: wanted)
    return DIFFKIT_OK
  }
}

extension BufferPatch {
  /// Returns the size in bytes of the elements that the entry changes; throws `usage` if there are
  /// more than `capacity`.
  fileprivate func elementBytes(_ capacity: Int) throws(DiffError) -> Int {
    guard capacity >= 0, let count = elementBytes, UInt64(capacity) >= changes else {
      throw DiffError(.usage, "\(changes) elements, but capacity for \(capacity.asSize)")
    }
    return count
  }
}
