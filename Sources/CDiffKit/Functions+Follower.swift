import CDiffKitHeader
import DiffOperations
import DiffStore
import TensorCore

// A model in memory that follows a store; `diffkit.h` documents each function.

/// The object of a `diffkit_follower`.
final class FollowerHandle: Handled {
  static let noun = "follower"
  let follower: Follower

  init(_ follower: Follower) { self.follower = follower }
}

/// A `diffkit_view`: valid while the caller's function that receives it runs.
@safe private struct View {
  let overlay: UnsafePointer<OverlayView>
  let version: UnsafePointer<CChar>

  static func from(_ pointer: OpaquePointer?) throws(DiffError) -> View {
    guard let pointer = unsafe pointer else { throw .null }
    return unsafe UnsafePointer<View>(pointer).pointee
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_follower_open(
  _ store: UnsafePointer<CChar>!, _ version: UnsafePointer<CChar>!,
  _ follower: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
  status { () throws(DiffError) in
    guard let store = unsafe store, let version = unsafe version, let out = unsafe follower else {
      throw .null
    }
    unsafe out.pointee = nil
    let opened = try Follower(Store(unsafe text(store)), at: unsafe text(version))
    unsafe out.pointee = FollowerHandle(opened).handle
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_follower_prepare(
  _ follower: OpaquePointer!, _ version: UnsafePointer<CChar>!
) -> CInt {
  status { () throws(DiffError) in
    guard let version = unsafe version else { throw .null }
    try unsafe FollowerHandle.from(follower).follower.prepare(unsafe text(version))
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_follower_commit(_ follower: OpaquePointer!) -> CInt {
  status { () throws(DiffError) in
    try unsafe FollowerHandle.from(follower).follower.commit()
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_follower_read(
  _ follower: OpaquePointer!,
  _ body: (@convention(c) (UnsafeMutableRawPointer?, OpaquePointer?) -> CInt)!,
  _ context: UnsafeMutableRawPointer!
) -> CInt {
  status { () throws(DiffError) in
    guard let body = unsafe body else { throw .null }
    return try unsafe FollowerHandle.from(follower).follower.read { overlay, version in
      unsafe withUnsafePointer(to: overlay) { overlay in
        unsafe version.withCString { name in
          var view = unsafe View(overlay: overlay, version: name)
          return unsafe withUnsafeMutablePointer(to: &view) {
            unsafe body(context, OpaquePointer($0))
          }
        }
      }
    }
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_follower_close(_ follower: OpaquePointer!) {
  unsafe FollowerHandle.release(follower)
}

/// See `diffkit.h`.
@c @implementation public func diffkit_view_tensor(
  _ view: OpaquePointer!, _ name: UnsafePointer<CChar>!,
  _ tensor: UnsafeMutablePointer<diffkit_tensor>!, _ extents: UnsafeMutablePointer<UInt64>!
) -> CInt {
  status { () throws(DiffError) in
    let view = try unsafe View.from(view)
    guard let name = unsafe name, let extents = unsafe extents else { throw .null }
    let wanted = try TensorName(unsafe text(name))
    guard let found = unsafe view.overlay.pointee.tensor(wanted) else {
      throw DiffError(.usage, "no such tensor", tensor: wanted)
    }
    var row = unsafe diffkit_tensor()
    unsafe row.name = name
    unsafe row.name_length = wanted.utf8.count
    unsafe row.type = UInt32(found.type.rawValue)
    unsafe row.rank = UInt32(found.shape.extents.count)
    for (number, extent) in found.shape.extents.enumerated() { unsafe extents[number] = extent }
    unsafe row.extents = UnsafePointer(extents)
    try unsafe view.overlay.pointee.bytes(of: wanted).withUnsafeBufferPointer {
      unsafe row.bytes = UnsafeRawPointer($0.baseAddress)
      unsafe row.byte_count = $0.count
    }
    unsafe row.size = MemoryLayout<diffkit_tensor>.size
    try unsafe row.write(to: tensor)
    return DIFFKIT_OK
  }
}

/// See `diffkit.h`.
@c @implementation public func diffkit_view_version(
  _ view: OpaquePointer!
) -> UnsafePointer<CChar>! {
  unsafe (try? View.from(view))?.version
}
