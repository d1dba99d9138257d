import TensorCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An HDF5 file in the making. Contiguous tensors are written past libhdf5, everything else
/// through it.
final class HDF5Output: CheckpointOutput, @unchecked Sendable {
  private let output: OutputFile
  private let permissions: mode_t
  /// Opened when something needs it. Touched under the library's lock only.
  private var opened: HDF5File?

  /// Begins with a copy of `source`, but for some `ranges`.
  init(
    _ path: String, copying source: File, except ranges: [Range<UInt64>], overwriting: Bool
  ) throws(DiffError) {
    permissions = try source.status().st_mode & 0o777
    // The library opens the file by name and must be allowed to write until the end.
    output = try OutputFile(path, overwriting: overwriting, permissions: permissions | S_IWUSR)
    let size = try source.size
    try output.file.resize(to: size)
    var offset: UInt64 = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if offset < range.lowerBound {
        try source.copy(offset..<range.lowerBound, to: output.file)
      }
      offset = max(offset, range.upperBound)
    }
    if offset < size { try source.copy(offset..<size, to: output.file) }
  }

  /// Begins with an empty file, with facts as attributes of its root group.
  init(creating path: String, metadata: [String: String], overwriting: Bool) throws(DiffError) {
    output = try OutputFile(path, overwriting: overwriting)
    permissions = try output.file.status().st_mode & 0o777
    try locating(nil) { () throws(DiffError) in
      let file = try HDF5File(creating: output.openablePath)
      for (name, text) in metadata.sorted(by: { $0.key < $1.key }) {
        try file.setAttribute(name, text)
      }
      opened = file
    }
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    guard bytes.count > 0 else { return }
    tensor.check(offset, bytes.count)
    try locating(tensor.name) { () throws(DiffError) in
      guard case .contiguous(let start) = tensor.storage else {
        try tensor.checkLossless()
        return try hdf5().write(bytes, to: tensor, at: offset)
      }
      // The library may hold bytes around its objects, and must not write them back over these.
      try close()
      guard tensor.isBigEndian else { return try output.file.write(bytes, at: start + offset) }
      var swapped = unsafe bytes.withUnsafeBufferPointer { unsafe Array($0) }
      var span = swapped.mutableSpan
      Kernels.swapBytes(&span, width: tensor.type.width)
      try output.file.write(swapped.span, at: start + offset)
    }
  }

  func insert(
    _ name: String, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor {
    try locating(name) { () throws(DiffError) in
      let file = try hdf5()
      try file.insert(name, type, shape)
      // The bytes go past the library, so its own must be in the file before.
      try file.flush()
      return try file.describe(name, fileSize: output.file.size)
    }
  }

  func delete(_ tensor: StoredTensor) throws(DiffError) {
    try locating(tensor.name) { () throws(DiffError) in
      try hdf5().delete(tensor)
      // Once closed, the library has forgotten the freed space, which holds old bytes: what is
      // allocated from now on is new.
      try close()
    }
  }

  func commit() throws(DiffError) {
    try locating(nil) { () throws(DiffError) in try close() }
    fchmod(output.file.descriptor, permissions)
    try output.commit()
  }

  private func close() throws(DiffError) {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    try opened?.flush()
    opened = nil
  }

  private func hdf5() throws(DiffError) -> HDF5File {
    HDF5Library.lock()
    defer { HDF5Library.unlock() }
    if let opened { return opened }
    let file = try HDF5File(output.openablePath, writable: true)
    opened = file
    return file
  }

  private func locating<Result>(
    _ tensor: String?, _ body: () throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    do throws(DiffError) { return try body() } catch {
      throw error.at(path: output.destination, tensor: tensor)
    }
  }
}

extension StoredTensor {
  /// Refuses filters that may keep other elements than were written, as scale-offset does: what
  /// was verified would not be what the file holds.
  fileprivate func checkLossless() throws(DiffError) {
    guard case .chunked(let chunks) = storage else { return }
    for case .other(let number) in chunks.filters {
      throw DiffError(
        .unsupportedCheckpoint,
        "its chunks pass filter number \(number), which may not keep every bit; rewrite the file "
          + "without it, as by h5repack -f NONE")
    }
  }
}
