import CHDF5
import Platform
import TensorCore

/// The layout in memory of elements of a datatype that the library has read.
indirect enum HDF5Elements {
  /// Plain bytes of this count.
  case bytes(Int)
  /// A text in a field of this many bytes.
  case text(Int)
  /// The address of a text.
  case longText
  /// A reference to an object.
  case reference
  /// The length and the address of a sequence.
  case sequence(HDF5Elements)
  /// A number of contiguous elements.
  case array(Int, HDF5Elements)
  /// Named fields at their offsets.
  case record([(name: String, offset: Int, elements: HDF5Elements)], size: Int)

  /// Creates the layout of a datatype.
  ///
  /// - Throws: `unsupportedCheckpoint` for a datatype nested too deep.
  init(_ datatype: hid_t, depth: Int = 0) throws(DiffError) {
    func inner(_ made: hid_t) throws(DiffError) -> HDF5Elements {
      let handle = try HDF5Handle(made, "cannot read the datatype")
      return try HDF5Elements(handle.id, depth: depth + 1)
    }
    guard depth < 32 else {
      throw DiffError(.unsupportedCheckpoint, "a datatype nested too deep")
    }
    let size = try HDF5ElementType.get { H5Tget_size(datatype) }
    guard size > 0 else { throw DiffError(.malformed, "elements of no bytes") }
    switch try HDF5ElementType.get({ H5Tget_class(datatype) }) {
    case H5T_STRING:
      let isVariable = try HDF5ElementType.get { H5Tis_variable_str(datatype) }
      self = isVariable > 0 ? .longText : .text(size)
    case H5T_REFERENCE where size == 8: self = .reference
    case H5T_VLEN: self = .sequence(try inner(H5Tget_super(datatype)))
    case H5T_ARRAY:
      let elements = try inner(H5Tget_super(datatype))
      self = .array(size / elements.size, elements)
    case H5T_COMPOUND:
      let count = try HDF5ElementType.get { H5Tget_nmembers(datatype) }
      var fields: [(name: String, offset: Int, elements: HDF5Elements)] = []
      for number in 0..<UInt32(clamping: count) {
        fields.append(
          (
            try HDF5ElementType.memberName(number, of: datatype),
            try HDF5ElementType.get { H5Tget_member_offset(datatype, number) },
            try inner(H5Tget_member_type(datatype, number))
          ))
      }
      self = .record(fields, size: size)
    default: self = .bytes(size)
    }
  }

  /// The number of bytes of an element.
  var size: Int {
    switch self {
    case .bytes(let size), .text(let size), .record(_, let size): size
    case .longText, .reference: 8
    case .sequence: 16
    case .array(let count, let elements): count * elements.size
    }
  }

  /// True if elements are plain bytes.
  var isFlat: Bool { if case .bytes = self { true } else { false } }

  /// Adds an element to a hash.
  func add(_ element: UnsafeRawPointer, to digest: HDF5Digest) {
    switch self {
    case .bytes(let size): unsafe digest.add(UnsafeRawBufferPointer(start: element, count: size))
    case .text(let size):
      let bytes = unsafe Array(UnsafeRawBufferPointer(start: element, count: size))
      let text = bytes.prefix { $0 != 0 }
      // Padded with zeros or with spaces.
      let end = text.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? 0
      digest.add(Array(text.prefix(end)).span)
    case .longText:
      let address = unsafe UnsafeRawPointer(bitPattern: element.loadUnaligned(as: UInt.self))
      guard let text = unsafe address else { return digest.add(0) }
      let length = unsafe strlen(text.assumingMemoryBound(to: CChar.self))
      unsafe digest.add(UnsafeRawBufferPointer(start: text, count: length))
    case .reference: unsafe digest.add(reference: element)
    case .sequence(let elements):
      let count = unsafe element.loadUnaligned(as: Int.self)
      digest.add(count)
      let address = unsafe element.loadUnaligned(fromByteOffset: 8, as: UInt.self)
      guard let start = unsafe UnsafeRawPointer(bitPattern: address) else { return }
      for number in 0..<max(0, count) {
        unsafe elements.add(start + number * elements.size, to: digest)
      }
    case .array(let count, let elements):
      for number in 0..<count { unsafe elements.add(element + number * elements.size, to: digest) }
    case .record(let fields, _):
      for field in fields {
        digest.add(Array(field.name.utf8).span)
        unsafe field.elements.add(element + field.offset, to: digest)
      }
    }
  }
}
