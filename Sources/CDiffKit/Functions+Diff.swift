import CDiffKitHeader
import DiffFormat
import DiffOperations
import TensorCore

// The functions that `diffkit.h` documents; the compiler checks that the declarations match.

/// See `diffkit.h`.
@c @implementation public func diffkit_version() -> UnsafePointer<CChar>! {
  unsafe UnsafePointer(ErrorText.version)
}

/// See `diffkit.h`.
@c @implementation public func diffkit_error() -> UnsafePointer<CChar>! {
  unsafe ErrorText.text
}

/// See `diffkit.h`.
@c @implementation public func diffkit_error_code() -> UnsafePointer<CChar>! {
  unsafe ErrorText.code
}

/// See `diffkit.h`.
@c @implementation public func diffkit_open_file(
  _ path: UnsafePointer<CChar>!, _ diff: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let path = unsafe path, let out = unsafe diff else { throw .null }
    unsafe out.pointee = nil
    let reader = try DiffReader(unsafe text(path))
    unsafe out.pointee = Diff(reader).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_open_memory(
  _ bytes: UnsafeRawPointer!, _ size: Int, _ diff: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let bytes = unsafe bytes, let out = unsafe diff, size >= 0 else { throw .null }
    unsafe out.pointee = nil
    let copy = unsafe [UInt8](UnsafeRawBufferPointer(start: bytes, count: size))
    let reader = try DiffReader(bytes: copy)
    unsafe out.pointee = Diff(reader).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_open_source(
  _ source: UnsafePointer<diffkit_source>!, _ diff: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let out = unsafe diff else { throw .null }
    unsafe out.pointee = nil
    var copy = unsafe diffkit_source()
    try unsafe diffkit_source.read(source, into: &copy)
    guard unsafe copy.read != nil else { throw .null }
    let reader = try unsafe DiffReader(CallbackSource(copy))
    unsafe out.pointee = Diff(reader).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_close(_ diff: OpaquePointer!) {
  unsafe Diff.release(diff)
}

/// See `diffkit.h`.
@c @implementation public func diffkit_count(_ diff: OpaquePointer!) -> Int {
  (try? unsafe Diff.from(diff))?.reader.count ?? 0
}

/// See `diffkit.h`.
@c @implementation public func diffkit_identity(
  _ diff: OpaquePointer!, _ identity: UnsafeMutablePointer<UInt8>!
) -> CInt {
  status { () throws(DiffError) in
    try unsafe store(Diff.from(diff).reader.identity, to: identity)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_metadata_count(_ diff: OpaquePointer!) -> Int {
  (try? unsafe Diff.from(diff))?.metadataCount ?? 0
}

/// See `diffkit.h`.
@c @implementation public func diffkit_metadata_at(
  _ diff: OpaquePointer!, _ index: Int, _ key: UnsafeMutablePointer<UnsafePointer<CChar>?>!,
  _ keyLength: UnsafeMutablePointer<Int>!,
  _ value: UnsafeMutablePointer<UnsafePointer<CChar>?>!,
  _ valueLength: UnsafeMutablePointer<Int>!
) -> CInt {
  status { () throws(DiffError) in
    guard let key = unsafe key, let value = unsafe value else { throw .null }
    let pair = try unsafe Diff.from(diff).metadata(at: index)
    unsafe key.pointee = UnsafePointer(pair.key.start)
    unsafe value.pointee = UnsafePointer(pair.value.start)
    unsafe keyLength?.pointee = pair.key.length
    unsafe valueLength?.pointee = pair.value.length
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_entry_at(
  _ diff: OpaquePointer!, _ index: Int, _ entry: UnsafeMutablePointer<diffkit_entry>!
) -> CInt {
  status { () throws(DiffError) in
    try unsafe Diff.from(diff).describe(index).write(to: entry)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_find(
  _ diff: OpaquePointer!, _ name: UnsafePointer<CChar>!, _ index: UnsafeMutablePointer<Int>!
) -> CInt {
  status { () throws(DiffError) in
    let object = try unsafe Diff.from(diff)
    guard let name = unsafe name, let out = unsafe index else { throw .null }
    unsafe out.pointee = try object.index(of: TensorName(unsafe text(name)))
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_read(
  _ diff: OpaquePointer!, _ index: Int, _ positions: UnsafeMutablePointer<UInt64>!,
  _ values: UnsafeMutableRawPointer!, _ capacity: Int
) -> CInt {
  status { () throws(DiffError) in
    let reader = try unsafe Diff.from(diff).reader
    let entry = try unsafe Diff.from(diff).entry(index)
    if case .reshape = entry.operation {
      throw DiffError(
        .unsupported, "changes its shape; only the Swift library reads such entries",
        path: reader.path, tensor: entry.name)
    }
    guard capacity >= 0, entry.count <= UInt64(capacity) else {
      throw DiffError(
        .usage, "\(entry.count) changes, but room for \(capacity.asSize)", path: reader.path,
        tensor: entry.name)
    }
    var pages = reader.pages(of: entry)
    var done = 0
    while let changes = try pages.next() {
      if let positions = unsafe positions {
        for i in 0..<changes.count { unsafe positions[done + i] = changes.position(i) }
      }
      if let values = unsafe values {
        let start = unsafe values + done * changes.width
        unsafe changes.values.withUnsafeBufferPointer { bytes in
          guard let base = bytes.baseAddress else { return }
          unsafe start.copyMemory(from: base, byteCount: bytes.count)
        }
      }
      done += changes.count
    }
    return DIFFKIT_OK
  }
}
