import CHDF5
import Checkpoints
import TensorCore

/// A filter of a dataset's chunks.
struct HDF5Filter {
  /// The HDF5 filter number.
  var number: H5Z_filter_t
  /// Its first parameter.
  var parameter: UInt32
  /// The name in the file; may be empty.
  var name: String

  /// Returns the filters of a dataset, in the order of writing.
  static func all(of creation: hid_t) throws(DiffError) -> [HDF5Filter] {
    let count = H5Pget_nfilters(creation)
    try count.orThrow("cannot read the filters")
    return try (0..<count).map { (index) throws(DiffError) in try HDF5Filter(creation, index) }
  }

  private init(_ creation: hid_t, _ index: Int32) throws(DiffError) {
    var flags: UInt32 = 0
    var values: [UInt32] = [0]
    var valueCount = values.count
    var name = [CChar](repeating: 0, count: 64)
    number = unsafe H5Pget_filter2(
      creation, UInt32(index), &flags, &valueCount, &values, name.count - 1, &name, nil)
    try number.orThrow("cannot read the filters")
    self.name = String(
      decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    parameter = values[0]
  }

  /// Returns the corresponding filter of Checkpoints for elements of a type.
  func filter(of type: ElementType) -> StoredTensor.Filter {
    switch number {
    case H5Z_FILTER_DEFLATE where parameter <= 9: .deflate(level: Int(parameter))
    case H5Z_FILTER_SHUFFLE where parameter == UInt32(type.width): .shuffle
    case H5Z_FILTER_FLETCHER32: .fletcher32
    case H5Z_FILTER_SZIP: .szip
    default: .other(Int(number))
    }
  }

  /// Throws if this libhdf5 does not have the filter.
  func requireAvailable() throws(DiffError) {
    guard H5Zfilter_avail(number) <= 0 else { return }
    throw DiffError(
      .unsupportedCheckpoint,
      "its chunks use a filter that this libhdf5 lacks, \(name.isEmpty ? "" : "\(name), ")"
        + "number \(number); where it is installed, rewrite the file without it, for example with "
        + "h5repack -f NONE")
  }
}
