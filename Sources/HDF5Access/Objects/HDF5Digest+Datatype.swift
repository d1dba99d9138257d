import CHDF5
import TensorCore

extension HDF5Digest {
  /// Adds a datatype: what it says of elements, not its encoding in the file, which depends on the
  /// version of the library that wrote it.
  ///
  /// - Throws: `unsupportedCheckpoint` for a datatype nested too deep.
  func add(datatype: hid_t, depth: Int = 0) throws(DiffError) {
    let what = "cannot read a datatype"
    guard depth < 32 else {
      throw DiffError(.unsupportedCheckpoint, "a datatype nested too deep")
    }
    func addInner(_ made: hid_t) throws(DiffError) {
      let handle = try HDF5Handle(made, what)
      try add(datatype: handle.id, depth: depth + 1)
    }
    let kind = try HDF5ElementType.get { H5Tget_class(datatype) }
    add(Int(kind.rawValue))
    add(try HDF5ElementType.get { H5Tget_size(datatype) })
    switch kind {
    case H5T_COMPOUND:
      for number in try members(of: datatype) {
        add(Array(try HDF5ElementType.memberName(number, of: datatype).utf8).span)
        add(try HDF5ElementType.get { H5Tget_member_offset(datatype, number) })
        try addInner(H5Tget_member_type(datatype, number))
      }
    case H5T_ENUM:
      try addInner(H5Tget_super(datatype))
      // The library sorts members when it looks one up.
      for (name, value) in try values(of: datatype).sorted(by: { $0.name < $1.name }) {
        add(Array(name.utf8).span)
        add(value.span)
      }
    case H5T_ARRAY:
      let rank = H5Tget_array_ndims(datatype)
      try rank.orThrow(what)
      var extents = [hsize_t](repeating: 0, count: Int(rank))
      try unsafe H5Tget_array_dims2(datatype, &extents).orThrow(what)
      for extent in extents { add(Int(truncatingIfNeeded: extent)) }
      try addInner(H5Tget_super(datatype))
    case H5T_VLEN: try addInner(H5Tget_super(datatype))
    case H5T_STRING:
      // Not the character set and the padding, which a diff does not carry.
      add(Int(try HDF5ElementType.get { H5Tis_variable_str(datatype) }))
    default:
      var size = 0
      try unsafe H5Tencode(datatype, nil, &size).orThrow(what)
      var bytes = [UInt8](repeating: 0, count: size)
      try unsafe H5Tencode(datatype, &bytes, &size).orThrow(what)
      // After two bytes of H5Tencode, the version and the class share a byte.
      if bytes.count > 2 { bytes[2] &= 0x0F }
      add(bytes.span)
    }
  }

  private func members(of datatype: hid_t) throws(DiffError) -> Range<UInt32> {
    0..<UInt32(clamping: try HDF5ElementType.get { H5Tget_nmembers(datatype) })
  }

  /// Returns the members of an enumeration.
  private func values(
    of datatype: hid_t
  ) throws(DiffError) -> [(name: String, value: [UInt8])] {
    var values: [(name: String, value: [UInt8])] = []
    let size = try HDF5ElementType.get { H5Tget_size(datatype) }
    for number in try members(of: datatype) {
      var value = [UInt8](repeating: 0, count: size)
      try unsafe H5Tget_member_value(datatype, number, &value).orThrow("cannot read a datatype")
      values.append((try HDF5ElementType.memberName(number, of: datatype), value))
    }
    return values
  }
}
