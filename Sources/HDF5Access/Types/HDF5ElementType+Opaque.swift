import CHDF5
import Checkpoints
import TensorCore

extension HDF5ElementType {
  /// The type bf16 if the dataset holds bfloat16 as stored by Keras 3: two opaque bytes, and an
  /// attribute that names the type; nil otherwise.
  init?(opaque datatype: hid_t, of dataset: hid_t) throws(DiffError) {
    guard try Self.get({ H5Tget_class(datatype) }) == H5T_OPAQUE,
      try Self.get({ H5Tget_size(datatype) }) == 2,
      try HDF5Attribute.text("dtype", of: dataset) == "bfloat16"
    else { return nil }
    type = .bf16
    isBigEndian = false
  }
}
