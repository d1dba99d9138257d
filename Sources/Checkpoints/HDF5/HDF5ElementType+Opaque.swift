import CHDF5
import TensorCore

extension HDF5ElementType {
  /// bfloat16 as Keras 3 stores it: two opaque bytes, and an attribute that names the type.
  init?(opaque datatype: hid_t, of dataset: hid_t) {
    guard H5Tget_class(datatype) == H5T_OPAQUE, H5Tget_size(datatype) == 2,
      HDF5ElementType.dtype(of: dataset) == "bfloat16"
    else { return nil }
    type = .bf16
    isBigEndian = false
  }

  /// The attribute `dtype` of a dataset if it is one string.
  private static func dtype(of dataset: hid_t) -> String? {
    guard unsafe H5Aexists(dataset, "dtype") > 0,
      let attribute = try? HDF5Handle(unsafe H5Aopen(dataset, "dtype", dk_H5P_DEFAULT), ""),
      let datatype = try? HDF5Handle(H5Aget_type(attribute.id), ""),
      let space = try? HDF5Handle(H5Aget_space(attribute.id), ""),
      H5Tget_class(datatype.id) == H5T_STRING, H5Sget_simple_extent_npoints(space.id) == 1
    else { return nil }
    return H5Tis_variable_str(datatype.id) > 0
      ? variableString(attribute.id, datatype.id) : fixedString(attribute.id, datatype.id)
  }

  private static func variableString(_ attribute: hid_t, _ datatype: hid_t) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard unsafe H5Aread(attribute, datatype, &text) >= 0, let text = unsafe text else {
      return nil
    }
    defer { unsafe H5free_memory(text) }
    return unsafe String(cString: text)
  }

  private static func fixedString(_ attribute: hid_t, _ datatype: hid_t) -> String? {
    // Longer ones are none that this module knows.
    let size = H5Tget_size(datatype)
    guard size <= 64 else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    guard unsafe H5Aread(attribute, datatype, &bytes) >= 0 else { return nil }
    // Padded with zeros or with spaces.
    return String(decoding: bytes.prefix { $0 > UInt8(ascii: " ") }, as: UTF8.self)
  }
}
