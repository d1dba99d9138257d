import CHDF5
import Checkpoints
import TensorCore

extension HDF5Attribute {
  /// Copies all attributes of an object.
  static func copyAll(from old: hid_t, to new: hid_t) throws(DiffError) {
    let what = "an attribute cannot be copied"
    for number in 0..<(try count(of: old)) {
      let attribute = try open(number, of: old)
      let datatype = try HDF5Handle(H5Aget_type(attribute.id), what)
      let space = try HDF5Handle(H5Aget_space(attribute.id), what)
      let options = try HDF5Handle(H5Aget_create_plist(attribute.id), what)
      let name = try name(attribute.id)
      let copy = try HDF5Handle(
        unsafe H5Acreate2(new, name, datatype.id, space.id, options.id, dk_H5P_DEFAULT), what)
      try copyValue(of: attribute.id, to: copy.id, datatype.id, space.id)
    }
  }

  private static func copyValue(
    of attribute: hid_t, to copy: hid_t, _ datatype: hid_t, _ space: hid_t
  ) throws(DiffError) {
    let what = "an attribute cannot be copied"
    let count = try HDF5Library.value(what) { H5Sget_simple_extent_npoints(space) }
    // A null dataspace has nothing to copy.
    guard count > 0 else { return }
    let element = try HDF5Library.value(what) { H5Tget_size(datatype) }
    let (size, overflow) = Int(count).multipliedReportingOverflow(by: element)
    guard !overflow, size <= 1 << 28 else { throw DiffError(.unsupportedCheckpoint, what) }
    var bytes = [UInt8](repeating: 0, count: size)
    try unsafe H5Aread(attribute, datatype, &bytes).orThrow(what)
    // Strings and sequences of variable length are allocated by the library.
    defer { unsafe H5Dvlen_reclaim(datatype, space, dk_H5P_DEFAULT, &bytes) }
    try unsafe H5Awrite(copy, datatype, bytes).orThrow(what)
  }
}
