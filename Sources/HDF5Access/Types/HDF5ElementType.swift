import CHDF5
import TensorCore

/// The element type and byte order of a dataset.
struct HDF5ElementType {
  var type: ElementType
  var isBigEndian: Bool

  /// The element type of `datatype`, or nil if it is unsupported.
  init?(_ datatype: hid_t) throws(DiffError) {
    guard let type = try Self.type(datatype) else { return nil }
    let order = try Self.get { H5Tget_order(datatype) }
    guard order == H5T_ORDER_LE || order == H5T_ORDER_BE || type == .bool else { return nil }
    self.type = type
    isBigEndian = order == H5T_ORDER_BE && type.width > 1
  }

  private static func type(_ datatype: hid_t) throws(DiffError) -> ElementType? {
    switch try get({ H5Tget_class(datatype) }) {
    case H5T_INTEGER: try integer(datatype)
    case H5T_FLOAT: try float(datatype)
    case H5T_ENUM: try isBool(datatype) ? .bool : nil
    case H5T_COMPOUND: try isComplex(datatype) ? .c64 : nil
    default: nil
    }
  }

  /// Returns a property of a datatype; see `HDF5Library.value`.
  static func get<Value>(_ call: () -> Value) throws(DiffError) -> Value {
    try HDF5Library.value("cannot read the datatype", call)
  }

  private static func integer(_ datatype: hid_t) throws(DiffError) -> ElementType? {
    let size = try get { H5Tget_size(datatype) }
    guard size <= 8, try get({ H5Tget_precision(datatype) }) == size * 8,
      try get({ H5Tget_offset(datatype) }) == 0
    else { return nil }
    let isSigned = try get { H5Tget_sign(datatype) } == H5T_SGN_2
    switch size {
    case 1: return isSigned ? .i8 : .u8
    case 2: return isSigned ? .i16 : .u16
    case 4: return isSigned ? .i32 : .u32
    case 8: return isSigned ? .i64 : .u64
    default: return nil
    }
  }

  private static func float(_ datatype: hid_t) throws(DiffError) -> ElementType? {
    guard let fields = try FloatFields(datatype) else { return nil }
    return FloatType.allCases.first { FloatFields($0) == fields }?.elementType
  }

  /// Returns whether this is the compound of two f32 that h5py writes for complex numbers.
  private static func isComplex(_ datatype: hid_t) throws(DiffError) -> Bool {
    guard try get({ H5Tget_size(datatype) }) == 8, try get({ H5Tget_nmembers(datatype) }) == 2
    else { return false }
    for (number, name) in ["r", "i"].enumerated() {
      let number = UInt32(number)
      let member = try HDF5Handle(H5Tget_member_type(datatype, number), "cannot read the datatype")
      guard try memberName(number, of: datatype) == name,
        try get({ H5Tget_member_offset(datatype, number) }) == 4 * Int(number),
        try get({ H5Tget_class(member.id) }) == H5T_FLOAT, try float(member.id) == .f32
      else { return false }
    }
    return true
  }

  /// Returns the name of a member of a compound datatype, repaired where it is not valid UTF-8.
  static func memberName(_ number: UInt32, of datatype: hid_t) throws(DiffError) -> String {
    guard let name = unsafe H5Tget_member_name(datatype, number) else {
      throw HDF5Library.error(.unsupportedCheckpoint, "cannot read the datatype")
    }
    defer { unsafe H5free_memory(name) }
    return unsafe String(cString: name)
  }

  /// Returns whether this is the enumeration that h5py writes for booleans.
  private static func isBool(_ datatype: hid_t) throws(DiffError) -> Bool {
    let base = try HDF5Handle(H5Tget_super(datatype), "cannot read the datatype")
    guard try get({ H5Tget_class(base.id) }) == H5T_INTEGER,
      try get({ H5Tget_size(base.id) }) == 1, try get({ H5Tget_nmembers(datatype) }) == 2
    else { return false }
    return value(of: "FALSE", in: datatype) == 0 && value(of: "TRUE", in: datatype) == 1
  }

  /// Returns the value of a member, or nil if there is no member of that name, which is an error of
  /// the library.
  private static func value(of member: String, in datatype: hid_t) -> Int8? {
    var value: Int8 = 0
    return unsafe H5Tenum_valueof(datatype, member, &value) >= 0 ? value : nil
  }
}
