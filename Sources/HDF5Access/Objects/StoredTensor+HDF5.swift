import CHDF5
import Checkpoints
import TensorCore

extension StoredTensor {
  /// The description of a dataset: a tensor, or the reason why it is skipped.
  enum Description {
    case tensor(StoredTensor)
    case skipped(reason: String, mayHoldNumbers: Bool = true)
  }

  /// Describes an open dataset. The client checks that the description fits the file.
  ///
  /// - Parameter withChunks: whether the chunks are looked up, which takes O(chunks).
  static func describe(
    _ dataset: hid_t, _ name: TensorName, userBlock: UInt64, takesStandardOutput: Bool,
    withChunks: Bool = true
  ) throws(DiffError) -> Description {
    let creation = try HDF5Handle(H5Dget_create_plist(dataset), "cannot read the layout")
    let layout = try HDF5Library.value("cannot read the layout") { H5Pget_layout(creation.id) }
    // Checked first: reading other properties of a virtual dataset would open its source files.
    if layout == H5D_VIRTUAL { return .skipped(reason: "a virtual dataset") }
    let files = H5Pget_external_count(creation.id)
    try files.orThrow("cannot read the layout")
    if files > 0 { return .skipped(reason: "external storage") }
    let datatype = try HDF5Handle(H5Dget_type(dataset), "cannot read the datatype")
    guard let element = try elementType(datatype.id, of: dataset) else {
      return .skipped(
        reason: try HDF5ElementType.name(datatype.id),
        mayHoldNumbers: try HDF5ElementType.mayHoldNumbers(datatype.id))
    }
    let space = try HDF5Handle(H5Dget_space(dataset), "cannot read the dataspace")
    let extent = try HDF5Library.value("cannot read the dataspace") {
      H5Sget_simple_extent_type(space.id)
    }
    if extent == H5S_NULL {
      return .skipped(reason: "a null dataspace", mayHoldNumbers: false)
    }
    guard let shape = try shape(of: space.id) else {
      return .skipped(reason: "more elements than diffkit supports")
    }
    var tensor = StoredTensor(
      name: name, aliases: [], type: element.type, shape: shape,
      isBigEndian: element.isBigEndian, storage: .unallocated,
      fill: try fill(creation.id, datatype.id))
    switch layout {
    case H5D_COMPACT:
      // Some versions read beyond a buffer that is too short.
      try requireStorage(of: dataset, tensor.byteCount)
      tensor.storage = .compact
    case H5D_CHUNKED:
      guard
        let chunks = try chunks(
          of: dataset, creation: creation.id, space: space.id, shape, element.type,
          userBlock: userBlock,
          takesStandardOutput: takesStandardOutput, withChunks: withChunks)
      else { return .skipped(reason: "a layout of chunks that diffkit does not support") }
      tensor.storage = .chunked(chunks)
    case H5D_CONTIGUOUS:
      if let offset = try contiguousOffset(dataset, tensor.byteCount) {
        tensor.storage = .contiguous(offset: offset)
      }
    default: return .skipped(reason: "an unknown layout")
    }
    return .tensor(tensor)
  }

  /// Refuses a dataset whose storage has another size than its elements: its shape or datatype is
  /// damaged.
  private static func requireStorage(
    of dataset: hid_t, _ byteCount: UInt64
  ) throws(DiffError) {
    let stored = try HDF5Library.value("cannot read the layout") { H5Dget_storage_size(dataset) }
    guard stored == byteCount else {
      throw DiffError(
        .malformed, "its elements take \(byteCount) bytes, but \(stored) bytes are stored")
    }
  }

  /// Returns the offset of a contiguous dataset, or nil if its elements are not stored.
  private static func contiguousOffset(
    _ dataset: hid_t, _ byteCount: UInt64
  ) throws(DiffError) -> UInt64? {
    let what = "cannot read the layout"
    // The address does not show this: the library adds the user block even to an undefined address.
    var status = H5D_SPACE_STATUS_ERROR
    try unsafe H5Dget_space_status(dataset, &status).orThrow(what)
    guard status != H5D_SPACE_STATUS_NOT_ALLOCATED else { return nil }
    try requireStorage(of: dataset, byteCount)
    guard byteCount > 0 else { return nil }
    return UInt64(try HDF5Library.value(what) { H5Dget_offset(dataset) })
  }

  /// Returns the bits of elements that are not stored; zeros if the file does not define them.
  private static func fill(_ creation: hid_t, _ datatype: hid_t) throws(DiffError) -> UInt64 {
    let what = "cannot read the fill value"
    var status = H5D_FILL_VALUE_ERROR
    try unsafe H5Pfill_value_defined(creation, &status).orThrow(what)
    var time = H5D_FILL_TIME_ERROR
    try unsafe H5Pget_fill_time(creation, &time).orThrow(what)
    // With an invalid fill time, the library's behavior depends on the layout.
    guard time == H5D_FILL_TIME_ALLOC || time == H5D_FILL_TIME_NEVER || time == H5D_FILL_TIME_IFSET
    else { throw DiffError(.malformed, "its fill value is damaged") }
    guard status != H5D_FILL_VALUE_UNDEFINED, time != H5D_FILL_TIME_NEVER else { return 0 }
    let memory = try HDF5ElementType.littleEndian(datatype)
    let size = try HDF5Library.value(what) { H5Tget_size(memory.id) }
    guard size <= 8 else { return 0 }
    var fill: UInt64 = 0
    try unsafe H5Pget_fill_value(creation, memory.id, &fill).orThrow(what)
    return UInt64(littleEndian: fill)
  }

  private static func elementType(
    _ datatype: hid_t, of dataset: hid_t
  ) throws(DiffError) -> HDF5ElementType? {
    if let element = try HDF5ElementType(datatype) { return element }
    return try HDF5ElementType(opaque: datatype, of: dataset)
  }

  static func shape(of space: hid_t) throws(DiffError) -> Shape? {
    let what = "cannot read the dataspace"
    let rank = H5Sget_simple_extent_ndims(space)
    try rank.orThrow(what)
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    var maximum = extents
    try unsafe H5Sget_simple_extent_dims(space, &extents, &maximum).orThrow(what)
    // An unlimited extent has the largest number as its maximum.
    guard zip(extents, maximum).allSatisfy({ $0 <= $1 }) else {
      throw DiffError(.malformed, "has more elements than its dataspace allows")
    }
    return Shape(extents)
  }

  /// Returns the chunked storage of a dataset, or nil if the extents of a chunk are unusable.
  private static func chunks(
    of dataset: hid_t, creation: hid_t, space: hid_t, _ shape: Shape, _ type: ElementType,
    userBlock: UInt64, takesStandardOutput: Bool, withChunks: Bool
  ) throws(DiffError) -> Chunks? {
    guard let chunk = try chunkShape(creation, rank: shape.extents.count), chunk.count > 0 else {
      return nil
    }
    var options: UInt32 = 0
    try unsafe H5Pget_chunk_opts(creation, &options).orThrow("cannot read the layout")
    return Chunks(
      shape: chunk, filters: try HDF5Filter.all(of: creation).map { $0.filter(of: type) },
      filtersEdges: options & UInt32(H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) == 0,
      chunks: withChunks
        ? try HDF5ChunkTable.chunks(
          of: dataset, space, shape, chunk, userBlock: userBlock,
          takesStandardOutput: takesStandardOutput) : [])
  }

  /// Returns the extents of the chunks of a dataset, or nil if it is not chunked.
  static func chunkShape(_ creation: hid_t, rank: Int) throws(DiffError) -> Shape? {
    let layout = try HDF5Library.value("cannot read the layout") { H5Pget_layout(creation) }
    guard layout == H5D_CHUNKED else { return nil }
    var extents = [hsize_t](repeating: 0, count: Shape.maximumRank)
    let found = unsafe H5Pget_chunk(creation, Int32(extents.count), &extents)
    try found.orThrow("cannot read the layout")
    guard found == Int32(rank) else { return nil }
    return Shape(Array(extents.prefix(rank)))
  }
}
