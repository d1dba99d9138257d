import CHDF5
import TensorCore

/// The bit layout of a binary floating-point type.
struct FloatFields: Equatable {
  var size: Int
  var sign, exponent, exponentSize, mantissa, mantissaSize: Int
  var bias: Int

  init(_ type: FloatType) {
    size = type.width
    sign = size * 8 - 1
    mantissa = 0
    switch type {
    case .f16: (exponentSize, mantissaSize, bias) = (5, 10, 15)
    case .bf16: (exponentSize, mantissaSize, bias) = (8, 7, 127)
    case .f32: (exponentSize, mantissaSize, bias) = (8, 23, 127)
    case .f64: (exponentSize, mantissaSize, bias) = (11, 52, 1023)
    }
    exponent = mantissaSize
  }

  /// The fields of a float datatype, or nil if it has padding or no implied leading bit.
  init?(_ datatype: hid_t) throws(DiffError) {
    var fields: (Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0)
    try unsafe H5Tget_fields(
      datatype, &fields.0, &fields.1, &fields.2, &fields.3, &fields.4
    ).orThrow("cannot read the datatype")
    size = try HDF5ElementType.get { H5Tget_size(datatype) }
    guard (1...8).contains(size),
      try HDF5ElementType.get({ H5Tget_norm(datatype) }) == H5T_NORM_IMPLIED,
      try HDF5ElementType.get({ H5Tget_offset(datatype) }) == 0,
      try HDF5ElementType.get({ H5Tget_precision(datatype) }) == size * 8,
      let bias = Int(exactly: try HDF5ElementType.get { H5Tget_ebias(datatype) })
    else { return nil }
    (sign, exponent, exponentSize, mantissa, mantissaSize) = fields
    self.bias = bias
  }
}
