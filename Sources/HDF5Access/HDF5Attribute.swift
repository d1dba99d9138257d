import CHDF5
import TensorCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Attributes that tell what something is.
enum HDF5Attribute {
  /// Longer texts are none that diffkit looks for.
  private static let maximumSize = 256

  /// The attribute of a name if it is there and one short string.
  static func text(_ name: String, of object: hid_t) -> String? {
    guard unsafe H5Aexists(object, name) > 0,
      let attribute = try? HDF5Handle(unsafe H5Aopen(object, name, dk_H5P_DEFAULT), ""),
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
    return unsafe strlen(text) <= maximumSize ? String(validatingCString: text) : nil
  }

  private static func fixedString(_ attribute: hid_t, _ datatype: hid_t) -> String? {
    let size = H5Tget_size(datatype)
    guard size <= maximumSize else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    guard unsafe H5Aread(attribute, datatype, &bytes) >= 0 else { return nil }
    // Padded with zeros or with spaces.
    let text = bytes.prefix { $0 != 0 }
    let end = text.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
    return String(validating: text.prefix(end), as: UTF8.self)
  }
}
