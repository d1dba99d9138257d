import CHDF5
import Checkpoints
import TensorCore

extension HDF5Attribute {
  /// Copies all attributes of an object.
  static func copyAll(from old: hid_t, to new: hid_t) throws(DiffError) {
    let what = "an attribute cannot be copied"
    var info = H5O_info_t()
    try unsafe H5Oget_info2(old, &info, H5O_INFO_NUM_ATTRS).orThrow(what)
    for index in 0..<info.num_attrs {
      let attribute = try HDF5Handle(
        unsafe H5Aopen_by_idx(
          old, ".", H5_INDEX_NAME, H5_ITER_INC, index, dk_H5P_DEFAULT, dk_H5P_DEFAULT), what)
      let datatype = try HDF5Handle(H5Aget_type(attribute.id), what)
      let space = try HDF5Handle(H5Aget_space(attribute.id), what)
      let length = H5Aget_name(attribute.id, 0, nil)
      guard length > 0 else { throw HDF5Library.error(.unsupportedCheckpoint, what) }
      var name = [CChar](repeating: 0, count: length + 1)
      try Int32(clamping: unsafe H5Aget_name(attribute.id, name.count, &name)).orThrow(what)
      let options = try HDF5Handle(H5Aget_create_plist(attribute.id), what)
      let copy = try HDF5Handle(
        unsafe H5Acreate2(new, name, datatype.id, space.id, options.id, dk_H5P_DEFAULT), what)
      try copyValue(of: attribute.id, to: copy.id, datatype.id, space.id)
    }
  }

  private static func copyValue(
    of attribute: hid_t, to copy: hid_t, _ datatype: hid_t, _ space: hid_t
  ) throws(DiffError) {
    let what = "an attribute cannot be copied"
    let count = H5Sget_simple_extent_npoints(space)
    // A null dataspace has nothing to copy.
    guard count > 0 else { return }
    let (size, overflow) = Int(count).multipliedReportingOverflow(by: H5Tget_size(datatype))
    guard !overflow, size <= 1 << 28 else { throw DiffError(.unsupportedCheckpoint, what) }
    var bytes = [UInt8](repeating: 0, count: size)
    try unsafe H5Aread(attribute, datatype, &bytes).orThrow(what)
    // Strings and sequences of variable length lie elsewhere in memory.
    defer { unsafe H5Dvlen_reclaim(datatype, space, dk_H5P_DEFAULT, &bytes) }
    try unsafe H5Awrite(copy, datatype, bytes).orThrow(what)
  }
}
