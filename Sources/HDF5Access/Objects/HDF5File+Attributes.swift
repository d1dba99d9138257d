import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Sets or replaces an attribute of an object, or removes it if `value` is nil. An empty name is
  /// the root group. An object that does not exist is created as a group; a group that is left
  /// empty is removed.
  ///
  /// - Throws: `unsupported` if HDF5 cannot hold it, such as 64 KiB in old formats.
  func setAttribute(
    of object: TensorName, _ name: String, _ value: AttributeValue?
  ) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let what = "the attribute '\(name)' cannot be created"
    guard !name.isEmpty, !name.utf8.contains(0) else { throw DiffError(.unsupported, what) }
    if object != "" {
      if value == nil, try !nameExists(object) { return }
      var groups: Set<TensorName> = []
      try makeGroups(above: "\(object)/attribute", &groups)
    }
    try setAttribute(of: object, name, value, what)
    if object != "", value == nil { try removeEmptyGroups(above: "\(object)/attribute") }
  }

  private func setAttribute(
    of object: TensorName, _ name: String, _ value: AttributeValue?, _ what: String
  ) throws(DiffError) {
    let owner = try HDF5Handle(
      unsafe H5Oopen(handle.id, object == "" ? "/" : object.description, dk_H5P_DEFAULT), what)
    let found = unsafe H5Aexists(owner.id, name)
    try found.orThrow(what)
    if found > 0 { try unsafe H5Adelete(owner.id, name).orThrow(what) }
    guard let value else { return }
    let datatype = try HDF5Handle(H5Tcopy(dk_H5T_C_S1()), what)
    // HDF5 has no strings of size 0.
    let width = max(1, value.texts.map(\.utf8.count).max() ?? 1)
    try H5Tset_size(datatype.id, value.isVariable ? dk_H5T_VARIABLE() : width).orThrow(what)
    try H5Tset_cset(datatype.id, H5T_CSET_UTF8).orThrow(what)
    let padding = value.isVariable ? H5T_STR_NULLTERM : H5T_STR_NULLPAD
    try H5Tset_strpad(datatype.id, padding).orThrow(what)
    let count = [hsize_t(value.texts.count)]
    let space = try HDF5Handle(
      value.isList ? unsafe H5Screate_simple(1, count, nil) : H5Screate(H5S_SCALAR), what)
    let attribute = try HDF5Handle(
      unsafe H5Acreate2(owner.id, name, datatype.id, space.id, dk_H5P_DEFAULT, dk_H5P_DEFAULT), what
    )
    guard !value.texts.isEmpty else { return }
    if value.isVariable {
      try writeVariable(value.texts, to: attribute.id, datatype.id, what)
    } else {
      var bytes: [UInt8] = []
      for text in value.texts {
        bytes += text.utf8
        bytes += [UInt8](repeating: 0, count: width - text.utf8.count)
      }
      try unsafe H5Awrite(attribute.id, datatype.id, bytes).orThrow(what)
    }
  }

  /// Writes texts of variable length, which the library takes by address.
  private func writeVariable(
    _ texts: [String], to attribute: hid_t, _ datatype: hid_t, _ what: String
  ) throws(DiffError) {
    var bytes: [UInt8] = []
    var starts: [Int] = []
    for text in texts {
      starts.append(bytes.count)
      bytes += text.utf8
      bytes.append(0)
    }
    let status = unsafe bytes.withUnsafeBytes { buffer in
      let addresses = starts.map { UInt(bitPattern: buffer.baseAddress) + UInt($0) }
      return unsafe H5Awrite(attribute, datatype, addresses)
    }
    try status.orThrow(what)
  }
}
