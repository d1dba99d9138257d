import CHDF5
import Checkpoints
import TensorCore

/// An element type as a dataset stores it.
struct HDF5ElementType {
  var type: ElementType
  var isBigEndian: Bool

  /// What `datatype` is, or nil if tensors have no such elements.
  init?(_ datatype: hid_t) {
    let order = H5Tget_order(datatype)
    isBigEndian = order == H5T_ORDER_BE
    switch H5Tget_class(datatype) {
    case H5T_INTEGER:
      guard order == H5T_ORDER_LE || isBigEndian, let type = HDF5ElementType.integer(datatype)
      else { return nil }
      self.type = type
    case H5T_FLOAT:
      guard order == H5T_ORDER_LE || isBigEndian, let type = HDF5ElementType.float(datatype)
      else { return nil }
      self.type = type
    case H5T_ENUM:
      guard HDF5ElementType.isBool(datatype) else { return nil }
      type = .bool
    default: return nil
    }
    if type.width == 1 { isBigEndian = false }
  }

  private static func integer(_ datatype: hid_t) -> ElementType? {
    let size = H5Tget_size(datatype)
    guard size <= 8, H5Tget_precision(datatype) == size * 8, H5Tget_offset(datatype) == 0 else {
      return nil
    }
    let isSigned = H5Tget_sign(datatype) == H5T_SGN_2
    switch size {
    case 1: return isSigned ? .i8 : .u8
    case 2: return isSigned ? .i16 : .u16
    case 4: return isSigned ? .i32 : .u32
    case 8: return isSigned ? .i64 : .u64
    default: return nil
    }
  }

  private static func float(_ datatype: hid_t) -> ElementType? {
    guard let fields = FloatFields(datatype) else { return nil }
    return FloatType.allCases.first { FloatFields($0) == fields }?.elementType
  }

  /// Whether this is the enumeration that h5py writes for booleans.
  private static func isBool(_ datatype: hid_t) -> Bool {
    let base = H5Tget_super(datatype)
    guard base >= 0 else { return false }
    defer { H5Tclose(base) }
    guard H5Tget_class(base) == H5T_INTEGER, H5Tget_size(base) == 1,
      H5Tget_nmembers(datatype) == 2
    else { return false }
    return value(of: "FALSE", in: datatype) == 0 && value(of: "TRUE", in: datatype) == 1
  }

  private static func value(of member: String, in datatype: hid_t) -> Int8? {
    var value: Int8 = 0
    return unsafe H5Tenum_valueof(datatype, member, &value) >= 0 ? value : nil
  }
}
