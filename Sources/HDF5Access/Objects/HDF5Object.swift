import CHDF5
import TensorCore

/// The object that a hard link refers to.
struct HDF5Object {
  var address: haddr_t
  var type: H5O_type_t

  init(_ group: hid_t, _ name: [CChar]) throws(DiffError) {
    var info = H5O_info_t()
    try unsafe H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, dk_H5P_DEFAULT)
      .orThrow("cannot read an object's header")
    (address, type) = (info.addr, info.type)
  }
}
