import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Adds a contiguous dataset, its elements undefined, and the groups on its way.
  ///
  /// - Throws: `unsupported` for a name or type that cannot be, `mismatch` if the name is taken.
  func insert(_ name: TensorName, _ type: ElementType, _ shape: Shape) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let datatype = try HDF5ElementType.make(type)
    try makeGroups(above: name)
    guard try !exists(name.description) else {
      throw DiffError(.mismatch, "there is something of that name already")
    }
    let what = "cannot be created"
    let space = try HDF5File.space(shape, maximum: nil)
    let creation = try HDF5Handle(H5Pcreate(dk_H5P_DATASET_CREATE()), what)
    try H5Pset_layout(creation.id, H5D_CONTIGUOUS).orThrow(what)
    try H5Pset_alloc_time(creation.id, H5D_ALLOC_TIME_EARLY).orThrow(what)
    // The caller writes all of it, so filling it first would write everything twice.
    try H5Pset_fill_time(creation.id, H5D_FILL_TIME_NEVER).orThrow(what)
    // Equal input gives equal bytes.
    try H5Pset_obj_track_times(creation.id, false).orThrow(what)
    let links = try utf8Links()
    _ = try HDF5Handle(
      unsafe H5Dcreate2(
        handle.id, name.description, datatype.id, space.id, links.id, creation.id, dk_H5P_DEFAULT),
      what)
  }

  /// Describes the tensor at `name`, a dataset that was made here.
  func describe(_ name: TensorName) throws(DiffError) -> StoredTensor {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let dataset = try HDF5Handle(
      unsafe H5Dopen2(handle.id, name.description, dk_H5P_DEFAULT), "cannot be opened")
    switch try StoredTensor.describe(
      dataset.id, name, userBlock: userBlockSize(), takesStandardOutput: false)
    {
    case .tensor(let tensor): return tensor
    case .skipped(let reason, _): throw DiffError(.unsupportedCheckpoint, reason)
    }
  }

  /// Removes all links to a tensor.
  func delete(_ names: [TensorName]) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    forget(names)
    for name in names {
      try unsafe H5Ldelete(handle.id, name.description, dk_H5P_DEFAULT).orThrow("cannot be deleted")
    }
  }

  /// The dataspace of a shape.
  static func space(_ shape: Shape, maximum: [hsize_t]?) throws(DiffError) -> HDF5Handle {
    let what = "cannot make a dataspace"
    if shape.extents.isEmpty { return try HDF5Handle(H5Screate(H5S_SCALAR), what) }
    return try HDF5Handle(
      unsafe H5Screate_simple(Int32(shape.extents.count), shape.extents, maximum), what)
  }

  /// Makes each group of a path that is not there: not by the library's own means, which would
  /// give it a time stamp.
  private func makeGroups(above name: TensorName) throws(DiffError) {
    let components = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String(Substring($0)) }
    guard !components.contains(where: { ["", ".", ".."].contains($0) }), !name.utf8.contains(0)
    else { throw DiffError(.unsupported, "not a name that HDF5 can hold") }
    let what = "cannot create a group"
    let creation = try HDF5Handle(H5Pcreate(dk_H5P_GROUP_CREATE()), what)
    try H5Pset_obj_track_times(creation.id, false).orThrow(what)
    let links = try utf8Links()
    for count in 1..<components.count {
      let path = components.prefix(count).joined(separator: "/")
      if try exists(path) {
        guard try isGroup(path) else {
          throw DiffError(.mismatch, "'\(path)' is there and is not a group")
        }
        continue
      }
      _ = try HDF5Handle(
        unsafe H5Gcreate2(handle.id, path, links.id, creation.id, dk_H5P_DEFAULT), what)
    }
  }

  /// Whether there is a link at a path whose groups are there.
  private func exists(_ path: String) throws(DiffError) -> Bool {
    let found = unsafe H5Lexists(handle.id, path, dk_H5P_DEFAULT)
    try found.orThrow("cannot look up '\(path)'")
    return found > 0
  }

  /// Whether a hard link leads from `path` to a group.
  private func isGroup(_ path: String) throws(DiffError) -> Bool {
    let what = "cannot look up '\(path)'"
    var link = H5L_info_t()
    try unsafe H5Lget_info(handle.id, path, &link, dk_H5P_DEFAULT).orThrow(what)
    guard link.type == H5L_TYPE_HARD else { return false }
    var object = H5O_info_t()
    try unsafe H5Oget_info_by_name2(
      handle.id, path, &object, H5O_INFO_BASIC, dk_H5P_DEFAULT
    ).orThrow(what)
    return object.type == H5O_TYPE_GROUP
  }

  func utf8Links() throws(DiffError) -> HDF5Handle {
    let links = try HDF5Handle(H5Pcreate(dk_H5P_LINK_CREATE()), "cannot set up libhdf5")
    try H5Pset_char_encoding(links.id, H5T_CSET_UTF8).orThrow("cannot set up libhdf5")
    return links
  }
}
