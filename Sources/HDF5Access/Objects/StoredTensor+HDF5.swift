import CHDF5
import Checkpoints
import TensorCore

extension StoredTensor {
  /// What a dataset is to diffkit.
  enum Description {
    case tensor(StoredTensor)
    case skipped(reason: String)
  }

  /// Describes an open dataset. (Whether that fits the file is checked by whoever asked.)
  static func describe(
    _ dataset: hid_t, _ name: String, userBlock: UInt64, takesStandardOutput: Bool
  ) throws(DiffError) -> Description {
    let creation = try HDF5Handle(H5Dget_create_plist(dataset), "cannot read the layout")
    let layout = H5Pget_layout(creation.id)
    // First of all: to ask a virtual dataset for more would open the files behind it.
    if layout == H5D_VIRTUAL { return .skipped(reason: "a virtual dataset") }
    if H5Pget_external_count(creation.id) != 0 { return .skipped(reason: "external storage") }
    guard let element = try elementType(of: dataset) else {
      return .skipped(reason: "a datatype that tensors do not have")
    }
    let space = try HDF5Handle(H5Dget_space(dataset), "cannot read the dataspace")
    if H5Sget_simple_extent_type(space.id) == H5S_NULL {
      return .skipped(reason: "a null dataspace")
    }
    guard let shape = try shape(of: space.id) else {
      return .skipped(reason: "more elements than diffkit supports")
    }
    var tensor = StoredTensor(
      name: name, aliases: [], type: element.type, shape: shape,
      isBigEndian: element.isBigEndian, storage: .unallocated,
      fill: try fill(creation.id, of: dataset))
    switch layout {
    case H5D_COMPACT: tensor.storage = .compact
    case H5D_CHUNKED:
      guard
        let chunks = try chunks(
          of: dataset, creation.id, space.id, shape, element.type, userBlock: userBlock,
          takesStandardOutput: takesStandardOutput)
      else { return .skipped(reason: "a layout of chunks that diffkit does not support") }
      tensor.storage = .chunked(chunks)
    case H5D_CONTIGUOUS:
      // The library adds the user block to the address, even to the one that says there is none.
      let stored = H5Dget_storage_size(dataset)
      if stored > 0 && shape.count > 0 {
        let offset = UInt64(H5Dget_offset(dataset))
        guard stored >= tensor.byteCount else {
          throw DiffError(.malformed, "less storage than elements", offset: offset)
        }
        tensor.storage = .contiguous(offset: offset)
      }
    default: return .skipped(reason: "an unknown layout")
    }
    return .tensor(tensor)
  }

  /// The bits of elements that are not stored; zeros where the file does not define them.
  private static func fill(_ creation: hid_t, of dataset: hid_t) throws(DiffError) -> UInt64 {
    var status = H5D_FILL_VALUE_UNDEFINED
    guard unsafe H5Pfill_value_defined(creation, &status) >= 0,
      status != H5D_FILL_VALUE_UNDEFINED
    else { return 0 }
    let stored = try HDF5Handle(H5Dget_type(dataset), "cannot read the datatype")
    let memory = try HDF5ElementType.littleEndian(stored.id)
    guard H5Tget_size(memory.id) <= 8 else { return 0 }
    var fill: UInt64 = 0
    try unsafe H5Pget_fill_value(creation, memory.id, &fill).orThrow("cannot read the fill value")
    return UInt64(littleEndian: fill)
  }

  private static func elementType(of dataset: hid_t) throws(DiffError) -> HDF5ElementType? {
    let datatype = try HDF5Handle(H5Dget_type(dataset), "cannot read the datatype")
    if let element = HDF5ElementType(datatype.id) { return element }
    return HDF5ElementType(opaque: datatype.id, of: dataset)
  }

  static func shape(of space: hid_t) throws(DiffError) -> Shape? {
    let rank = H5Sget_simple_extent_ndims(space)
    try rank.orThrow("cannot read the dataspace")
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    try unsafe H5Sget_simple_extent_dims(space, &extents, nil).orThrow("cannot read the dataspace")
    return Shape(extents)
  }

  /// Chunked storage, or nil if the extents of a chunk are unusable.
  private static func chunks(
    of dataset: hid_t, _ creation: hid_t, _ space: hid_t, _ shape: Shape, _ type: ElementType,
    userBlock: UInt64, takesStandardOutput: Bool
  ) throws(DiffError) -> Chunks? {
    guard let chunk = try chunkShape(creation, rank: shape.extents.count), chunk.count > 0 else {
      return nil
    }
    var options: UInt32 = 0
    try unsafe H5Pget_chunk_opts(creation, &options).orThrow("cannot read the layout")
    return Chunks(
      shape: chunk, filters: try HDF5Filter.all(of: creation).map { $0.filter(of: type) },
      filtersEdges: options & UInt32(H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) == 0,
      chunks: try HDF5ChunkTable.chunks(
        of: dataset, space, shape, chunk, userBlock: userBlock,
        takesStandardOutput: takesStandardOutput))
  }

  /// The extents of the chunks of a dataset that has some.
  static func chunkShape(_ creation: hid_t, rank: Int) throws(DiffError) -> Shape? {
    guard H5Pget_layout(creation) == H5D_CHUNKED else { return nil }
    var extents = [hsize_t](repeating: 0, count: Shape.maximumRank)
    let found = unsafe H5Pget_chunk(creation, Int32(extents.count), &extents)
    try found.orThrow("cannot read the layout")
    guard found == Int32(rank) else { return nil }
    return Shape(Array(extents.prefix(rank)))
  }
}
