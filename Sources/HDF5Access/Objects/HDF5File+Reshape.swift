import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Replaces a tensor, under all its names, by a dataset of another shape with the same datatype,
  /// layout, filters and attributes. Its elements are undefined.
  ///
  /// - Throws: `unsupportedCheckpoint` if an attribute cannot be copied.
  func reshape(_ names: [TensorName], to shape: Shape) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    guard let first = names.first else { throw DiffError(.usage, "has no name") }
    closeDatasets(names)
    let what = "cannot be reshaped"
    let old = try HDF5Handle(unsafe H5Dopen2(handle.id, first.description, dk_H5P_DEFAULT), what)
    let datatype = try HDF5Handle(H5Dget_type(old.id), what)
    let creation = try HDF5Handle(H5Dget_create_plist(old.id), what)
    let maximum = try setLayout(creation.id, of: old.id, to: shape)
    let space = try HDF5File.space(shape, maximum: maximum)
    let new = try HDF5Handle(
      H5Dcreate_anon(handle.id, datatype.id, space.id, creation.id, dk_H5P_DEFAULT), what)
    try HDF5Attribute.copyAll(from: old.id, to: new.id)
    let links = try utf8Links()
    for name in names {
      try unsafe H5Ldelete(handle.id, name.description, dk_H5P_DEFAULT).orThrow(what)
      try unsafe H5Olink(new.id, handle.id, name.description, links.id, dk_H5P_DEFAULT).orThrow(
        what)
    }
  }

  /// Adapts the layout of a dataset to another shape; returns its maximum extents.
  private func setLayout(
    _ creation: hid_t, of dataset: hid_t, to shape: Shape
  ) throws(DiffError) -> [hsize_t]? {
    let what = "cannot be reshaped"
    let space = try HDF5Handle(H5Dget_space(dataset), what)
    let rank = shape.extents.count
    var extents = [hsize_t](repeating: 0, count: Shape.maximumRank)
    var maximum = extents
    let oldRank = unsafe H5Sget_simple_extent_dims(space.id, &extents, &maximum)
    try oldRank.orThrow(what)
    if let chunk = try StoredTensor.chunkShape(creation, rank: rank), Int(oldRank) == rank {
      let grows = zip(extents, maximum).map { $0 < $1 }
      // Chunks may not be larger than a tensor that cannot grow.
      let sides = chunk.extents.indices.map {
        grows[$0] ? chunk.extents[$0] : min(chunk.extents[$0], max(1, shape.extents[$0]))
      }
      try unsafe H5Pset_chunk(creation, Int32(rank), sides).orThrow(what)
      return shape.extents.indices.map {
        grows[$0] ? max(maximum[$0], shape.extents[$0]) : shape.extents[$0]
      }
    }
    // The caller writes all elements, without the library.
    try H5Premove_filter(creation, H5Z_FILTER_ALL).orThrow(what)
    try H5Pset_layout(creation, H5D_CONTIGUOUS).orThrow(what)
    try H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY).orThrow(what)
    try H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER).orThrow(what)
    return nil
  }
}
