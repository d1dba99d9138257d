import CHDF5
import Checkpoints
import Platform
import TensorCore

/// Functions that read attributes.
enum HDF5Attribute {
  private static let what = "cannot read an attribute"

  /// Returns the value of an attribute if it exists and is a single string of at most `maximumSize`
  /// bytes.
  static func text(
    _ name: String, of object: hid_t, maximumSize: Int = 256
  ) throws(DiffError) -> String? {
    let found = unsafe H5Aexists(object, name)
    try found.orThrow(what)
    guard found > 0 else { return nil }
    return try text(HDF5Handle(unsafe H5Aopen(object, name, dk_H5P_DEFAULT), what), maximumSize)
  }

  /// Returns the number of attributes of an object.
  static func count(of object: hid_t) throws(DiffError) -> hsize_t {
    var info = H5O_info_t()
    try unsafe H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS).orThrow(what)
    return info.num_attrs
  }

  /// Opens the attribute with an index in the order of the names.
  static func open(_ number: hsize_t, of object: hid_t) throws(DiffError) -> HDF5Handle {
    try HDF5Handle(
      unsafe H5Aopen_by_idx(
        object, ".", H5_INDEX_NAME, H5_ITER_INC, number, dk_H5P_DEFAULT, dk_H5P_DEFAULT), what)
  }

  /// Returns the name of an attribute, with the terminating zero.
  static func name(_ attribute: hid_t) throws(DiffError) -> [CChar] {
    let length = H5Aget_name(attribute, 0, nil)
    guard length > 0 else { throw HDF5Library.error(.unsupportedCheckpoint, what) }
    var name = [CChar](repeating: 0, count: length + 1)
    guard unsafe H5Aget_name(attribute, name.count, &name) > 0 else {
      throw HDF5Library.error(.unsupportedCheckpoint, what)
    }
    return name
  }

  /// Returns the attributes of an object that are single strings, up to 512 KiB in total.
  static func texts(of object: hid_t) throws(DiffError) -> [String: String] {
    var texts: [String: String] = [:]
    var left = 512 << 10
    for number in 0..<(try count(of: object)) where left > 0 {
      let attribute = try open(number, of: object)
      let bytes = try name(attribute.id).dropLast().map { UInt8(bitPattern: $0) }
      guard bytes.count < 1024, let name = String(validating: bytes, as: UTF8.self) else {
        continue
      }
      left -= bytes.count
      guard let text = try text(attribute, left) else { continue }
      left -= text.utf8.count
      texts[name] = text
    }
    return texts
  }

  /// Returns the value of an attribute if it is a single string of at most `maximumSize` bytes.
  private static func text(
    _ attribute: borrowing HDF5Handle, _ maximumSize: Int
  ) throws(DiffError) -> String? {
    let datatype = try HDF5Handle(H5Aget_type(attribute.id), what)
    let space = try HDF5Handle(H5Aget_space(attribute.id), what)
    let id = datatype.id
    guard try HDF5Library.value(what, { H5Tget_class(id) }) == H5T_STRING,
      H5Sget_simple_extent_npoints(space.id) == 1
    else { return nil }
    return try HDF5Library.value(what) { H5Tis_variable_str(id) } > 0
      ? variableString(attribute.id, id, maximumSize) : fixedString(attribute.id, id, maximumSize)
  }

  /// Returns the value of an attribute if it is a text or a list of texts, all in UTF-8, and small
  /// enough for a diff.
  static func value(_ attribute: borrowing HDF5Handle) throws(DiffError) -> AttributeValue? {
    let datatype = try HDF5Handle(H5Aget_type(attribute.id), what)
    let space = try HDF5Handle(H5Aget_space(attribute.id), what)
    let id = datatype.id
    let extent = H5Sget_simple_extent_type(space.id)
    let count = H5Sget_simple_extent_npoints(space.id)
    let isList = extent == H5S_SIMPLE
    guard extent == H5S_SCALAR || isList && H5Sget_simple_extent_ndims(space.id) == 1,
      (0...1 << 20).contains(count)
    else { return nil }
    // h5py writes an empty list as a list of numbers.
    if count == 0 { return AttributeValue([], isList: isList) }
    guard try HDF5Library.value(what, { H5Tget_class(id) }) == H5T_STRING else { return nil }
    let isVariable = try HDF5Library.value(what) { H5Tis_variable_str(id) } > 0
    let size = try HDF5Library.value(what) { H5Tget_size(id) }
    guard size * Int(count) <= 16 << 20 else { return nil }
    var bytes = [UInt8](repeating: 0, count: size * Int(count))
    try unsafe H5Aread(attribute.id, id, &bytes).orThrow(what)
    defer { if isVariable { unsafe H5Dvlen_reclaim(id, space.id, dk_H5P_DEFAULT, &bytes) } }
    var texts: [String] = []
    for number in 0..<Int(count) {
      let field = bytes[number * size..<(number + 1) * size]
      let text = isVariable ? longText(field) : fieldText(field)
      guard let text else { return nil }
      texts.append(text)
    }
    return AttributeValue(texts, isList: isList, isVariable: isVariable)
  }

  /// Returns the text at the address in a field.
  private static func longText(_ field: ArraySlice<UInt8>) -> String? {
    let address: UInt64 = Array(field).littleEndian(at: 0)
    guard let start = unsafe UnsafePointer<CChar>(bitPattern: UInt(address)),
      unsafe strlen(start) <= 16 << 20
    else { return nil }
    return unsafe String(validatingCString: start)
  }

  /// Returns the text in a field, which is padded with zeros or spaces.
  private static func fieldText(_ field: ArraySlice<UInt8>) -> String? {
    let text = field.prefix { $0 != 0 }
    let end = text.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? text.startIndex
    return String(validating: text[..<end], as: UTF8.self)
  }

  private static func variableString(
    _ attribute: hid_t, _ datatype: hid_t, _ maximumSize: Int
  ) throws(DiffError) -> String? {
    var text: UnsafeMutablePointer<CChar>?
    try unsafe H5Aread(attribute, datatype, &text).orThrow(what)
    guard let text = unsafe text else { return nil }
    defer { unsafe H5free_memory(text) }
    return unsafe strlen(text) <= maximumSize ? String(validatingCString: text) : nil
  }

  private static func fixedString(
    _ attribute: hid_t, _ datatype: hid_t, _ maximumSize: Int
  ) throws(DiffError) -> String? {
    let size = try HDF5Library.value(what) { H5Tget_size(datatype) }
    guard size <= maximumSize else { return nil }
    var bytes = [UInt8](repeating: 0, count: size)
    try unsafe H5Aread(attribute, datatype, &bytes).orThrow(what)
    return fieldText(bytes[...])
  }
}
