import CHDF5
import Checkpoints
import SystemSupport
import TensorCore

/// A file that libhdf5 has opened in this process. Only this class and the types that it uses call
/// the library; its interface is plain values and bytes.
final class HDF5File: @unchecked Sendable {
  // All state is used under the library's lock only.
  let handle: HDF5Handle
  private let path: String
  private var openedBytes: File?
  private let isWritable: Bool
  private var openDatasets: [(name: TensorName, dataset: HDF5Dataset)] = []

  /// The maximum number of open datasets. Each may hold a chunk cache; their total size is bounded,
  /// except for a single larger cache.
  private static let maximumOpenDatasets = 4
  private static let maximumCaches = 64 << 20

  /// Opens the file at `path`.
  ///
  /// - Throws: `notACheckpoint` if libhdf5 does not open it.
  convenience init(_ path: String, writable: Bool) throws(DiffError) {
    let mode = writable ? dk_H5F_ACC_RDWR() : dk_H5F_ACC_RDONLY()
    do throws(DiffError) {
      try self.init(path, by: .streams, writable) { access in unsafe H5Fopen(path, mode, access) }
    } catch {
      // That driver forgets what was wrong. The other one says so; it opens nothing more.
      _ = try HDF5File(path, by: .descriptors, false) { access in
        unsafe H5Fopen(path, dk_H5F_ACC_RDONLY(), access)
      }
      throw error
    }
  }

  /// Makes the empty file at `path` an HDF5 file without objects.
  convenience init(creating path: String) throws(DiffError) {
    try self.init(path, by: .streams, true) { access in
      unsafe H5Fcreate(path, dk_H5F_ACC_TRUNC(), dk_H5P_DEFAULT, access)
    }
  }

  /// A file driver of the library.
  private enum Driver { case descriptors, streams }

  private init(
    _ path: String, by driver: Driver, _ isWritable: Bool, _ open: (hid_t) -> hid_t
  ) throws(DiffError) {
    self.path = path
    self.isWritable = isWritable
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let access = try HDF5Handle(H5Pcreate(dk_H5P_FILE_ACCESS()), "cannot set up libhdf5")
    // Locks fail on read-only and network file systems.
    try H5Pset_file_locking(access.id, false, true).orThrow("cannot set up libhdf5")
    // Files are opened by a link in /proc, which has no target path if they have no name yet. The
    // driver for descriptors must resolve the link, the one for C streams does not.
    if driver == .streams {
      try H5Pset_fapl_stdio(access.id).orThrow("cannot set up libhdf5")
    }
    let id = open(access.id)
    guard id >= 0 else { throw HDF5Library.error(.notACheckpoint, "cannot be opened as HDF5") }
    handle = try HDF5Handle(id, "")
  }

  /// The file itself, for what the library does not tell; opened once, since a helper may open few.
  func bytes() throws(DiffError) -> File {
    if let openedBytes { return openedBytes }
    let file = try File(path)
    openedBytes = file
    return file
  }

  /// Returns the number of bytes before the HDF5 part of the file.
  func userBlockSize() throws(DiffError) -> UInt64 {
    let what = "cannot read the superblock"
    let creation = try HDF5Handle(H5Fget_create_plist(handle.id), what)
    var size: hsize_t = 0
    try unsafe H5Pget_userblock(creation.id, &size).orThrow(what)
    return size
  }

  /// Reads little-endian bytes of a tensor, starting at `offset`.
  func read(
    _ name: TensorName, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    try dataset(name).read(at: offset, into: &buffer)
  }

  /// Writes little-endian bytes of a tensor, starting at `offset`.
  func write(_ bytes: Span<UInt8>, to name: TensorName, at offset: UInt64) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    try dataset(name).write(bytes, at: offset)
  }

  /// Replaces chunks of a tensor by packed ones.
  func write(_ chunks: [PackedChunk], to name: TensorName) throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    let dataset = try dataset(name)
    for chunk in chunks { try dataset.write(chunk) }
  }

  /// Closes the datasets of tensors if they are open.
  func closeDatasets(_ names: [TensorName]) {
    openDatasets.removeAll { names.contains($0.name) }
  }

  /// Writes all pending changes.
  func flush() throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    for entry in openDatasets { try entry.dataset.store() }
    openDatasets.removeAll()
    try H5Fflush(handle.id, H5F_SCOPE_GLOBAL).orThrow("cannot flush")
  }

  /// Flushes and closes the file; the object must not be used afterwards.
  func close() throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    try flush()
    // The handle later releases an identifier that is no longer valid, which has no effect.
    try H5Fclose(handle.id).orThrow("cannot close")
  }

  /// Returns the open dataset of a tensor; the most recently used ones are kept, with their chunks.
  private func dataset(_ name: TensorName) throws(DiffError) -> HDF5Dataset {
    if let index = openDatasets.firstIndex(where: { $0.name == name }) {
      let entry = openDatasets.remove(at: index)
      openDatasets.append(entry)
      return entry.dataset
    }
    if openDatasets.count == HDF5File.maximumOpenDatasets { try closeFirstDataset() }
    let dataset = try HDF5Dataset(name, in: handle.id)
    if isWritable {
      try dataset.prepareChanges(userBlockSize())
    } else {
      try dataset.prepareReading(userBlockSize(), bytes)
    }
    openDatasets.append((name, dataset))
    while openDatasets.count > 1,
      openDatasets.reduce(0, { $0 + min($1.dataset.cacheSize, Self.maximumCaches + 1) })
        > Self.maximumCaches
    {
      try closeFirstDataset()
    }
    return dataset
  }

  private func closeFirstDataset() throws(DiffError) {
    try openDatasets[0].dataset.store()
    openDatasets.removeFirst()
  }
}
