import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Adds contiguous datasets with undefined elements, and the groups in their paths.
  ///
  /// - Throws: `unsupported` for an unsupported name or type, `mismatch` if the name exists.
  func insert(
    _ tensors: [(name: TensorName, type: ElementType, shape: Shape)]
  ) throws(DiffError) -> [StoredTensor] {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let creation = try newDatasets()
    let links = try utf8Links()
    let userBlock = try userBlockSize()
    var groups: Set<TensorName> = []
    var made: [StoredTensor] = []
    for (name, type, shape) in tensors {
      do throws(DiffError) {
        let datatype = try HDF5ElementType.make(type)
        try makeGroups(above: name, &groups)
        guard try !exists(name.description) else {
          throw DiffError(.mismatch, "an object of that name already exists")
        }
        let space = try HDF5File.space(shape, maximum: nil)
        let dataset = try HDF5Handle(
          unsafe H5Dcreate2(
            handle.id, name.description, datatype.id, space.id, links.id, creation.id,
            dk_H5P_DEFAULT), "cannot be created")
        made.append(try describe(dataset.id, name, userBlock: userBlock))
      } catch { throw error.at(tensor: name) }
    }
    return made
  }

  /// Returns the creation properties of new datasets: contiguous and allocated at once.
  private func newDatasets() throws(DiffError) -> HDF5Handle {
    let what = "cannot be created"
    let creation = try HDF5Handle(H5Pcreate(dk_H5P_DATASET_CREATE()), what)
    try H5Pset_layout(creation.id, H5D_CONTIGUOUS).orThrow(what)
    try H5Pset_alloc_time(creation.id, H5D_ALLOC_TIME_EARLY).orThrow(what)
    // The caller writes all elements, so filling them first would write everything twice.
    try H5Pset_fill_time(creation.id, H5D_FILL_TIME_NEVER).orThrow(what)
    // Without time stamps, equal input gives equal bytes.
    try H5Pset_obj_track_times(creation.id, false).orThrow(what)
    return creation
  }

  /// Returns the tensor at `name`, a dataset that was created here.
  func describe(_ name: TensorName) throws(DiffError) -> StoredTensor {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let dataset = try HDF5Handle(
      unsafe H5Dopen2(handle.id, name.description, dk_H5P_DEFAULT), "cannot be opened")
    return try describe(dataset.id, name, userBlock: userBlockSize())
  }

  private func describe(
    _ dataset: hid_t, _ name: TensorName, userBlock: UInt64
  ) throws(DiffError) -> StoredTensor {
    switch try StoredTensor.describe(
      dataset, name, userBlock: userBlock, takesStandardOutput: false)
    {
    case .tensor(let tensor): return tensor
    case .skipped(let reason, _): throw DiffError(.unsupportedCheckpoint, reason)
    }
  }

  /// Removes all links to a tensor, and the groups that this leaves empty and without attributes.
  func delete(_ names: [TensorName]) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    closeDatasets(names)
    for name in names {
      try unsafe H5Ldelete(handle.id, name.description, dk_H5P_DEFAULT).orThrow("cannot be deleted")
    }
    for name in names { try removeEmptyGroups(above: name) }
  }

  /// Removes the groups in the path of a name, innermost first, up to one that is not empty, has an
  /// attribute, or has another name.
  func removeEmptyGroups(above name: TensorName) throws(DiffError) {
    let what = "cannot look up a group"
    var path = name.description[...]
    while let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) {
      path = path[..<slash]
      guard !path.isEmpty, try exists(String(path)) else { return }
      var info = H5O_info_t()
      try unsafe H5Oget_info_by_name2(
        handle.id, String(path), &info, H5O_INFO_BASIC | H5O_INFO_NUM_ATTRS, dk_H5P_DEFAULT
      ).orThrow(what)
      var group = H5G_info_t()
      guard info.type == H5O_TYPE_GROUP, info.num_attrs == 0, info.rc == 1 else { return }
      try unsafe H5Gget_info_by_name(handle.id, String(path), &group, dk_H5P_DEFAULT).orThrow(what)
      guard group.nlinks == 0 else { return }
      try unsafe H5Ldelete(handle.id, String(path), dk_H5P_DEFAULT).orThrow("cannot be deleted")
    }
  }

  /// Creates the dataspace of a shape.
  static func space(_ shape: Shape, maximum: [hsize_t]?) throws(DiffError) -> HDF5Handle {
    let what = "cannot make a dataspace"
    if shape.extents.isEmpty { return try HDF5Handle(H5Screate(H5S_SCALAR), what) }
    return try HDF5Handle(
      unsafe H5Screate_simple(Int32(shape.extents.count), shape.extents, maximum), what)
  }

  /// Creates the missing groups in a path, one by one: the library's option for intermediate groups
  /// would give them time stamps.
  ///
  /// - Parameter known: groups that are known to exist; those in the path are added.
  func makeGroups(above name: TensorName, _ known: inout Set<TensorName>) throws(DiffError) {
    let components = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { String(Substring($0)) }
    guard !components.contains(where: { ["", ".", ".."].contains($0) }), !name.utf8.contains(0)
    else { throw DiffError(.unsupported, "not a valid name in HDF5") }
    guard components.count > 1,
      !known.contains(TensorName(components.dropLast().joined(separator: "/")))
    else { return }
    let what = "cannot create a group"
    let creation = try HDF5Handle(H5Pcreate(dk_H5P_GROUP_CREATE()), what)
    try H5Pset_obj_track_times(creation.id, false).orThrow(what)
    let links = try utf8Links()
    for count in 1..<components.count {
      let path = components.prefix(count).joined(separator: "/")
      guard known.insert(TensorName(path)).inserted else { continue }
      if try exists(path) {
        guard try isGroup(path) else {
          throw DiffError(.mismatch, "'\(path)' exists and is not a group")
        }
        continue
      }
      _ = try HDF5Handle(
        unsafe H5Gcreate2(handle.id, path, links.id, creation.id, dk_H5P_DEFAULT), what)
    }
  }

  /// Returns whether an object of this name exists; its groups need not exist.
  func nameExists(_ name: TensorName) throws(DiffError) -> Bool {
    var path = ""
    for part in name.description.split(separator: "/") {
      path += path.isEmpty ? "\(part)" : "/\(part)"
      guard try exists(path) else { return false }
    }
    return true
  }

  /// Returns whether a link exists at a path whose groups exist.
  private func exists(_ path: String) throws(DiffError) -> Bool {
    let found = unsafe H5Lexists(handle.id, path, dk_H5P_DEFAULT)
    try found.orThrow("cannot look up '\(path)'")
    return found > 0
  }

  /// Returns whether `path` is a hard link to a group.
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
