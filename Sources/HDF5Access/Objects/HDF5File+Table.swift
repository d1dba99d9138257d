import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// All tensors that hard links lead to from the root.
  ///
  /// - Parameter takesStandardOutput: see `HDF5ChunkTable`.
  /// - Complexity: O(n log n) in links and chunks.
  func table(takesStandardOutput: Bool) throws(DiffError) -> HDF5Table {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    var walk = HDF5Walk(userBlock: try userBlockSize(), takesStandardOutput: takesStandardOutput)
    if try hasEightByteAddresses() { walk.file = try bytes() }
    let root = try walkAll(&walk)
    // They describe the file; its tensors can be had without them.
    do { walk.table.facts = try HDF5Attribute.texts(of: root.id) } catch {
      walk.table.skipped.append(SkippedObject(name: "/", reason: error.message))
    }
    // Only now all the names of each object are known.
    for (index, aliases) in walk.aliases { walk.table.tensors[index].aliases = aliases }
    walk.table.skipped.sort { $0.name < $1.name }
    return walk.table
  }

  /// What is no tensor, with hashes. O(bytes of all that).
  func contents() throws(DiffError) -> [OtherContent] {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    var walk = HDF5Walk(userBlock: try userBlockSize(), takesStandardOutput: true)
    walk.contents = HDF5Contents(file: handle.id)
    _ = try walkAll(&walk)
    return walk.contents?.all ?? []
  }

  /// Returns whether addresses and sizes take 8 bytes each in the file, as in most.
  private func hasEightByteAddresses() throws(DiffError) -> Bool {
    let what = "cannot read the superblock"
    let creation = try HDF5Handle(H5Fget_create_plist(handle.id), what)
    var (addresses, sizes) = (0, 0)
    try unsafe H5Pget_sizes(creation.id, &addresses, &sizes).orThrow(what)
    return addresses == 8 && sizes == 8
  }

  /// Visits all objects from the root on, and returns that.
  private func walkAll(_ walk: inout HDF5Walk) throws(DiffError) -> HDF5Handle {
    let root = try HDF5Handle(unsafe H5Oopen(handle.id, "/", dk_H5P_DEFAULT), "no root group")
    walk.groups.insert(try HDF5Object(root.id, Array(".".utf8CString)).address)
    try walk.visit(root.id, prefix: "", label: nil, depth: 0)
    return root
  }
}
