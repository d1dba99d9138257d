import CHDF5
import TensorCore

extension HDF5ElementType {
  /// Returns whether elements of an unsupported datatype may be numbers.
  static func mayHoldNumbers(_ datatype: hid_t) throws(DiffError) -> Bool {
    let kind = try get { H5Tget_class(datatype) }
    return ![H5T_STRING, H5T_REFERENCE, H5T_TIME].contains(kind)
  }

  /// Returns a description of an unsupported datatype.
  static func name(_ datatype: hid_t) throws(DiffError) -> String {
    let size = try get { H5Tget_size(datatype) }
    switch try get({ H5Tget_class(datatype) }) {
    case H5T_INTEGER:
      let bits = try get { H5Tget_precision(datatype) }
      return "integers of \(bits) bits in \(size) bytes"
    case H5T_FLOAT:
      return "floating-point numbers of \(size) bytes that are not f16, bf16, f32, f64"
    case H5T_STRING: return "text (strings)"
    case H5T_BITFIELD: return "bit fields"
    case H5T_OPAQUE: return "opaque elements of \(size) bytes"
    case H5T_COMPOUND: return try compoundName(datatype)
    case H5T_REFERENCE: return "references"
    case H5T_ENUM: return "an enumeration"
    case H5T_VLEN: return "sequences of variable length"
    case H5T_ARRAY: return "arrays as elements"
    case H5T_TIME: return "times"
    default: return "an unknown datatype"
    }
  }

  /// Returns a description such as `compound elements (r, i)`.
  private static func compoundName(_ datatype: hid_t) throws(DiffError) -> String {
    let count = try get { H5Tget_nmembers(datatype) }
    var names: [String] = []
    for number in 0..<UInt32(clamping: min(count, 4)) {
      names.append(String(try memberName(number, of: datatype).prefix(20)))
    }
    return "compound elements (\(names.joined(separator: ", "))\(count > 4 ? ", …" : ""))"
  }
}
