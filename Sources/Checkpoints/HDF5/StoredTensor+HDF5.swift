import CHDF5
import TensorCore

extension StoredTensor {
  /// What a dataset is to diffkit.
  enum Description {
    case tensor(StoredTensor)
    case skipped(reason: String)
  }

  /// Describes an open dataset.
  ///
  /// - Throws: `malformed` if its bytes are not inside the file.
  static func describe(
    _ dataset: hid_t, _ name: String, userBlock: UInt64, fileSize: UInt64
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
      isBigEndian: element.isBigEndian, storage: .unallocated)
    switch layout {
    case H5D_COMPACT: tensor.storage = .compact
    case H5D_CHUNKED:
      guard
        let chunks = try chunks(
          of: dataset, creation.id, space.id, shape, userBlock: userBlock, fileSize: fileSize)
      else { return .skipped(reason: "a layout of chunks that diffkit does not support") }
      tensor.storage = .chunked(chunks)
    case H5D_CONTIGUOUS:
      // The library adds the user block to the address, even to the one that says there is none.
      let stored = H5Dget_storage_size(dataset)
      if stored > 0 && shape.count > 0 {
        let offset = UInt64(H5Dget_offset(dataset))
        try tensor.check(stored, at: offset, fileSize)
        tensor.storage = .contiguous(offset: offset)
      }
    default: return .skipped(reason: "an unknown layout")
    }
    return .tensor(tensor)
  }

  private func check(
    _ stored: UInt64, at offset: UInt64, _ fileSize: UInt64
  ) throws(DiffError) {
    guard stored >= byteCount else {
      throw DiffError(.malformed, "less storage than elements", offset: offset)
    }
    guard offset <= fileSize, byteCount <= fileSize - offset else {
      throw DiffError(.malformed, "its bytes are not all inside the file", offset: offset)
    }
  }

  private static func elementType(of dataset: hid_t) throws(DiffError) -> HDF5ElementType? {
    let datatype = try HDF5Handle(H5Dget_type(dataset), "cannot read the datatype")
    if let element = HDF5ElementType(datatype.id) { return element }
    return HDF5ElementType(opaque: datatype.id, of: dataset)
  }

  private static func shape(of space: hid_t) throws(DiffError) -> Shape? {
    let rank = H5Sget_simple_extent_ndims(space)
    try rank.orThrow("cannot read the dataspace")
    var extents = [hsize_t](repeating: 0, count: Int(rank))
    try unsafe H5Sget_simple_extent_dims(space, &extents, nil).orThrow("cannot read the dataspace")
    return Shape(extents)
  }

  /// Chunked storage, or nil if the extents of a chunk are unusable.
  private static func chunks(
    of dataset: hid_t, _ creation: hid_t, _ space: hid_t, _ shape: Shape, userBlock: UInt64,
    fileSize: UInt64
  ) throws(DiffError) -> Chunks? {
    let rank = shape.extents.count
    var extents = [hsize_t](repeating: 0, count: rank)
    guard unsafe H5Pget_chunk(creation, Int32(rank), &extents) == Int32(rank),
      let chunk = Shape(extents), chunk.count > 0
    else { return nil }
    return Chunks(
      shape: chunk, filters: try HDF5Filter.all(of: creation).map(\.filter),
      chunks: try HDF5ChunkTable.chunks(
        of: dataset, space, shape, chunk, addend: HDF5ChunkTable.addend(userBlock),
        fileSize: fileSize))
  }
}
