import CHDF5
import Checkpoints
import TensorCore

extension HDF5File {
  /// Returns all tensors that are reachable from the root by hard links, and the skipped objects.
  ///
  /// - Parameter takesStandardOutput: see `HDF5ChunkTable`.
  /// - Complexity: O(n log n) in links and chunks.
  func table(takesStandardOutput: Bool) throws(DiffError) -> HDF5Table {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    var walk = HDF5Walk(userBlock: try userBlockSize(), takesStandardOutput: takesStandardOutput)
    if try hasEightByteAddresses() { walk.file = try bytes() }
    let root = try walkAll(&walk)
    // Tensors can be read without the attributes, so a failure here is not an error.
    do { walk.table.metadata = try HDF5Attribute.texts(of: root.id) } catch {
      walk.table.skipped.append(SkippedObject(name: "/", reason: error.message))
    }
    // All names of each object are known only after the walk.
    for (index, aliases) in walk.aliases { walk.table.tensors[index].aliases = aliases }
    walk.table.skipped.sort { $0.name < $1.name }
    return walk.table
  }

  /// Returns the contents other than tensors, with hashes. O(bytes of these contents).
  func contents() throws(DiffError) -> [OtherContent] {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    var walk = HDF5Walk(userBlock: try userBlockSize(), takesStandardOutput: true)
    walk.contents = HDF5Contents(file: handle.id)
    if walk.userBlock > 0 {
      walk.contents?.add("/", "the user block", try bytes().digest(of: 0..<walk.userBlock))
    }
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

  /// Visits all objects; returns the root group.
  private func walkAll(_ walk: inout HDF5Walk) throws(DiffError) -> HDF5Handle {
    let root = try HDF5Handle(unsafe H5Oopen(handle.id, "/", dk_H5P_DEFAULT), "no root group")
    walk.groups.insert(try HDF5Object(root.id, Array(".".utf8CString)).address)
    try walk.visit(root.id, prefix: "", label: nil, depth: 0)
    return root
  }
}
