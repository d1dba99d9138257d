import CDiffKitHeader
import TensorCore

// Diffs made from tensors in memory; `diffkit.h` documents each function.

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_new(
  _ options: UnsafePointer<diffkit_options>!, _ writer: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let out = unsafe writer else { throw .null }
    unsafe out.pointee = nil
    var copy = unsafe diffkit_options()
    try unsafe diffkit_options.read(options, into: &copy)
    unsafe out.pointee = try Writer(copy).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_metadata(
  _ writer: OpaquePointer!, _ key: UnsafePointer<CChar>!, _ value: UnsafePointer<CChar>!
) -> CInt {
  status { () throws(DiffError) in
    guard let key = unsafe key, let value = unsafe value else { throw .null }
    try unsafe Writer.from(writer).add(metadata: text(key), text(value))
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_base(
  _ writer: OpaquePointer!, _ tensor: UnsafePointer<diffkit_tensor>!
) -> CInt {
  status { () throws(DiffError) in
    var copy = unsafe diffkit_tensor()
    try unsafe diffkit_tensor.read(tensor, into: &copy)
    try unsafe Writer.from(writer).add(base: copy)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_tuned(
  _ writer: OpaquePointer!, _ tensor: UnsafePointer<diffkit_tensor>!
) -> CInt {
  status { () throws(DiffError) in
    var copy = unsafe diffkit_tensor()
    try unsafe diffkit_tensor.read(tensor, into: &copy)
    try unsafe Writer.from(writer).add(tuned: copy)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_file(
  _ writer: OpaquePointer!, _ path: UnsafePointer<CChar>!, _ flags: UInt32,
  _ summary: UnsafeMutablePointer<diffkit_summary>!
) -> CInt {
  status { () throws(DiffError) in
    guard let path = unsafe path, flags & ~DIFFKIT_OVERWRITE == 0 else { throw .null }
    let made = try unsafe Writer.from(writer)
      .write(to: text(path), overwriting: flags & DIFFKIT_OVERWRITE != 0)
    if unsafe summary != nil { try unsafe made.write(to: summary) }
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_memory(
  _ writer: OpaquePointer!, _ bytes: UnsafeMutablePointer<UnsafeRawPointer?>!,
  _ size: UnsafeMutablePointer<Int>!, _ summary: UnsafeMutablePointer<diffkit_summary>!
) -> CInt {
  status { () throws(DiffError) in
    guard let bytes = unsafe bytes, let size = unsafe size else { throw .null }
    let (written, made) = try unsafe Writer.from(writer).writeToMemory()
    if unsafe summary != nil { try unsafe made.write(to: summary) }
    unsafe bytes.pointee = written.baseAddress
    unsafe size.pointee = written.count
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_writer_free(_ writer: OpaquePointer!) {
  unsafe Writer.release(writer)
}

extension diffkit_entry: @unsafe Sized {}
extension diffkit_source: @unsafe Sized {}
extension diffkit_tensor: @unsafe Sized {}
extension diffkit_options: @unsafe Sized {}
extension diffkit_summary: Sized {}
