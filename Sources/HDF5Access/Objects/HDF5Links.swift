import CHDF5
import Checkpoints
import Platform
import TensorCore

/// The links of a group.
enum HDF5Links {
  /// A link: its name in the group and its kind.
  struct Link {
    /// The bytes of the name, which need not be UTF-8, with the terminating zero.
    var name: [CChar]
    var kind: H5L_type_t

    /// The name, or nil if it is not valid UTF-8.
    var text: String? { String(validating: name.dropLast(), as: UTF8.self) }
    /// The name, repaired where it is not valid UTF-8.
    var repaired: String {
      String(decoding: name.dropLast().lazy.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
  }

  /// Returns all links of a group, in no particular order.
  static func all(of group: hid_t) throws(DiffError) -> [Link] {
    let found = Found()
    // Not by index, because each look-up of the n-th name takes O(n).
    try unsafe H5Literate(
      group, H5_INDEX_NAME, H5_ITER_NATIVE, nil,
      { _, name, info, context in
        guard let name = unsafe name, let info = unsafe info, let context = unsafe context
        else { return 0 }
        let bytes = unsafe UnsafeBufferPointer(start: name, count: strlen(name) + 1)
        unsafe Unmanaged<Found>.fromOpaque(context).takeUnretainedValue().links.append(
          Link(name: Array(bytes), kind: info.pointee.type))
        return 0
      }, Unmanaged.passUnretained(found).toOpaque()
    ).orThrow("cannot list a group")
    return found.links
  }

  private final class Found { var links: [Link] = [] }
}
