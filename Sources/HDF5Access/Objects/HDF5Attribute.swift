import CHDF5
import Platform

/// Attributes that tell what something is.
enum HDF5Attribute {
  /// The attribute of a name if it is there and one string. Those that say what something is are
  /// short.
  static func text(_ name: String, of object: hid_t, maximumSize: Int = 256) -> String? {
    guard unsafe H5Aexists(object, name) > 0,
      let attribute = try? HDF5Handle(unsafe H5Aopen(object, name, dk_H5P_DEFAULT), "")
    else { return nil }
    return text(attribute, maximumSize)
  }

  /// All attributes of an object that are one string, as far as they take half a mebibyte in all.
  static func texts(of object: hid_t) -> [String: String] {
    var texts: [String: String] = [:]
    var left = 512 << 10
    var index: hsize_t = 0
    while left > 0,
      let attribute = try? HDF5Handle(
        unsafe H5Aopen_by_idx(
          object, ".", H5_INDEX_NAME, H5_ITER_INC, index, dk_H5P_DEFAULT, dk_H5P_DEFAULT), "")
    {
      index += 1
      var bytes = [CChar](repeating: 0, count: 1024)
      let length = unsafe H5Aget_name(attribute.id, bytes.count, &bytes)
      guard length > 0, length < bytes.count,
        let name = String(
          validating: bytes.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      else { continue }
      left -= length
      guard let text = text(attribute, left) else { continue }
      left -= text.utf8.count
      texts[name] = text
    }
    return texts
  }

  private static func text(_ attribute: borrowing HDF5Handle, _ maximumSize: Int) -> String? {
    guard
      let datatype = try? HDF5Handle(H5Aget_type(attribute.id), ""),
      let space = try? HDF5Handle(H5Aget_space(attribute.id), ""),
      H5Tget_class(datatype.id) == H5T_STRING, H5Sget_simple_extent_npoints(space.id) == 1
    else { return nil }
    return H5Tis_variable_str(datatype.id) > 0
      ? variableString(attribute.id, datatype.id, maximumSize)
      : fixedString(attribute.id, datatype.id, maximumSize)
  }

  private static func variableString(
    _ attribute: hid_t, _ datatype: hid_t, _ maximumSize: Int
  ) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    guard unsafe H5Aread(attribute, datatype, &text) >= 0, let text = unsafe text else {
      return nil
    }
    defer { unsafe H5free_memory(text) }
    return unsafe strlen(text) <= maximumSize ? String(validatingCString: text) : nil
  }

  private static func fixedString(
    _ attribute: hid_t, _ datatype: hid_t, _ maximumSize: Int
  ) -> String? {
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
