import CDiffKitHeader
import TensorCore

// Elements prepared for exchange; `diffkit.h` documents each function.

/// See `diffkit.h`.
@c @implementation public func diffkit_exchange_new(
  _ exchange: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let out = unsafe exchange else { throw .null }
    unsafe out.pointee = Exchange().handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_exchange_add(
  _ exchange: OpaquePointer!, _ width: UInt32, _ positions: UnsafePointer<UInt64>!,
  _ before: UnsafeRawPointer!, _ after: UnsafeRawPointer!, _ count: Int
) -> CInt {
  status { () throws(DiffError) in
    guard (1...8).contains(width), count >= 0, count < 1 << 56,
      unsafe positions != nil || count == 0
    else { throw .null }
    let size = count * Int(width)
    try unsafe Exchange.from(exchange)
      .add(
        width: Int(width), UnsafeBufferPointer(start: positions, count: count),
        span(before, size).span, span(after, size).span)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_exchange_run(
  _ exchange: OpaquePointer!, _ tensors: UnsafePointer<UnsafeMutableRawPointer?>!,
  _ sizes: UnsafePointer<Int>!, _ count: Int, _ flags: UInt32,
  _ refused: UnsafeMutablePointer<Int>!
) -> CInt {
  status { () throws(DiffError) in
    guard flags & ~(DIFFKIT_UNVERIFIED | DIFFKIT_BACKWARDS) == 0, count >= 0,
      unsafe (tensors != nil && sizes != nil) || count == 0
    else { throw .null }
    var buffers = unsafe [UnsafeMutableRawBufferPointer]()
    for index in 0..<count {
      let buffer = unsafe try span(tensors[index], sizes[index])
      unsafe buffers.append(UnsafeMutableRawBufferPointer(buffer))
    }
    let wrong = try unsafe Exchange.from(exchange)
      .run(
        buffers, backwards: flags & DIFFKIT_BACKWARDS != 0,
        verifying: flags & DIFFKIT_UNVERIFIED == 0)
    guard let wrong else { return DIFFKIT_OK }
    unsafe refused?.pointee = wrong
    throw DiffError(.wrongBase, "tensor \(wrong) has been changed in between")
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_exchange_free(_ exchange: OpaquePointer!) {
  unsafe Exchange.release(exchange)
}
