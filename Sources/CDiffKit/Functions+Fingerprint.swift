import CDiffKitHeader
import TensorCore

// Fingerprints of tensors in memory; `diffkit.h` documents each function.

/// See `diffkit.h`.
@c @implementation public func diffkit_fingerprint(
  _ type: UInt32, _ rank: UInt32, _ extents: UnsafePointer<UInt64>!, _ bytes: UnsafeRawPointer!,
  _ size: Int, _ fingerprint: UnsafeMutablePointer<UInt8>!
) -> CInt {
  status { () throws(DiffError) in
    let type = try ElementType(code: type)
    let found = try unsafe TensorHash.of(
      type, Shape(rank: rank, extents, of: type), span(bytes, size))
    try unsafe store(found, to: fingerprint)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_hash_new(
  _ type: UInt32, _ rank: UInt32, _ extents: UnsafePointer<UInt64>!,
  _ hash: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let out = unsafe hash else { throw .null }
    unsafe out.pointee = nil
    let type = try ElementType(code: type)
    unsafe out.pointee = try TensorHash(type, Shape(rank: rank, extents, of: type)).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_hash_update(
  _ hash: OpaquePointer!, _ bytes: UnsafeRawPointer!, _ size: Int
) -> CInt {
  status { () throws(DiffError) in
    try unsafe TensorHash.from(hash).update(span(bytes, size).span)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_hash_finish(
  _ hash: OpaquePointer!, _ fingerprint: UnsafeMutablePointer<UInt8>!
) -> CInt {
  status { () throws(DiffError) in
    try unsafe store(TensorHash.from(hash).finish(), to: fingerprint)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_hash_free(_ hash: OpaquePointer!) {
  unsafe TensorHash.release(hash)
}

/// Copies the 16 bytes of a fingerprint to C.
@unsafe func store(
  _ fingerprint: Fingerprint, to out: UnsafeMutablePointer<UInt8>?
) throws(DiffError) {
  guard let out = unsafe out else { throw .null }
  unsafe out.update(from: fingerprint.bytes, count: 16)
}
