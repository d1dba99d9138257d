import CHDF5
import Checkpoints
import TensorCore

extension HDF5ElementType {
  /// Creates a little-endian datatype for `type`, the same as h5py.
  ///
  /// - Throws: `unsupported` for types without a common form in HDF5.
  static func make(_ type: ElementType) throws(DiffError) -> HDF5Handle {
    switch type {
    case .bool: try makeBool()
    case .u8: try copy(dk_H5T_STD_U8LE())
    case .i8: try copy(dk_H5T_STD_I8LE())
    case .u16: try copy(dk_H5T_STD_U16LE())
    case .i16: try copy(dk_H5T_STD_I16LE())
    case .u32: try copy(dk_H5T_STD_U32LE())
    case .i32: try copy(dk_H5T_STD_I32LE())
    case .u64: try copy(dk_H5T_STD_U64LE())
    case .i64: try copy(dk_H5T_STD_I64LE())
    case .f16: try makeFloat(FloatFields(.f16))
    case .bf16: try makeFloat(FloatFields(.bf16))
    case .f32: try copy(dk_H5T_IEEE_F32LE())
    case .f64: try copy(dk_H5T_IEEE_F64LE())
    case .c64: try makeComplex()
    default: throw DiffError(.unsupported, "HDF5 has no datatype for \(type.name)")
    }
  }

  /// Creates the datatype in memory for `datatype`: the same in little-endian order.
  static func littleEndian(_ datatype: hid_t) throws(DiffError) -> HDF5Handle {
    let kind = try get { H5Tget_class(datatype) }
    // The only supported compounds are complex numbers.
    if kind == H5T_COMPOUND { return try makeComplex() }
    let copy = try copy(datatype)
    if kind == H5T_INTEGER || kind == H5T_FLOAT {
      try H5Tset_order(copy.id, H5T_ORDER_LE).orThrow("cannot make a datatype")
    }
    return copy
  }

  private static func copy(_ datatype: hid_t) throws(DiffError) -> HDF5Handle {
    try HDF5Handle(H5Tcopy(datatype), "cannot copy a datatype")
  }

  private static func makeFloat(_ fields: FloatFields) throws(DiffError) -> HDF5Handle {
    // Fields must be inside the type at every step: set them while it is wide, then narrow it.
    let made = try copy(dk_H5T_IEEE_F32LE())
    let what = "cannot make a datatype"
    try H5Tset_fields(
      made.id, fields.sign, fields.exponent, fields.exponentSize, fields.mantissa,
      fields.mantissaSize
    ).orThrow(what)
    try H5Tset_size(made.id, fields.size).orThrow(what)
    try H5Tset_ebias(made.id, fields.bias).orThrow(what)
    return made
  }

  private static func makeComplex() throws(DiffError) -> HDF5Handle {
    let what = "cannot make a datatype"
    let made = try HDF5Handle(H5Tcreate(H5T_COMPOUND, 8), what)
    for (name, offset) in [("r", 0), ("i", 4)] {
      try unsafe H5Tinsert(made.id, name, offset, dk_H5T_IEEE_F32LE()).orThrow(what)
    }
    return made
  }

  private static func makeBool() throws(DiffError) -> HDF5Handle {
    let what = "cannot make a datatype"
    let made = try HDF5Handle(H5Tenum_create(dk_H5T_STD_I8LE()), what)
    for (name, number) in [("FALSE", 0), ("TRUE", 1)] as [(String, Int8)] {
      var value = number
      try unsafe H5Tenum_insert(made.id, name, &value).orThrow(what)
    }
    return made
  }
}
