import Checkpoints
import TensorCore

/// Answers requests about one file with libhdf5 in this process.
package final class HDF5Server: @unchecked Sendable {
  private let path: String
  private let takesStandardOutput: Bool
  /// Used by one request at a time.
  private var opened: HDF5File?

  /// - Parameter takesStandardOutput: whether this process may redirect it; see `HDF5ChunkTable`.
  package init(_ path: String, takesStandardOutput: Bool) {
    self.path = path
    self.takesStandardOutput = takesStandardOutput
  }

  /// Returns the reply to a request.
  package func reply(to message: [UInt8]) -> [UInt8] {
    do throws(DiffError) {
      return HDF5Reply.success(try answer(HDF5Request(message)))
    } catch {
      return HDF5Reply.failure(error)
    }
  }

  private func answer(_ request: HDF5Request) throws(DiffError) -> HDF5Reply.Answer {
    switch request {
    case .open: opened = try HDF5File(path, writable: false)
    case .openForChanges: opened = try HDF5File(path, writable: true)
    case .create: opened = try HDF5File(creating: path)
    case .table: return .table(try file.table(takesStandardOutput: takesStandardOutput))
    case .contents: return .contents(try file.contents())
    case .read(let name, let offset, let count):
      guard count <= Self.maximumCount else { throw DiffError(.usage, "reads too much at once") }
      var bytes = [UInt8](repeating: 0, count: count)
      var span = bytes.mutableSpan
      try file.read(name, at: offset, into: &span)
      return .bytes(bytes)
    case .write(let name, let offset, let bytes):
      try file.write(bytes.span, to: name, at: offset)
    case .writeChunks(let name, let chunks): try file.write(chunks, to: name)
    case .insert(let tensors):
      let made = try file.insert(tensors)
      // Their elements are written without the library, so its pending writes must precede them.
      try file.flush()
      return .tensors(made)
    case .reshape(let names, let shape):
      try file.reshape(names, to: shape)
      try file.flush()
      return .tensors([try file.describe(names.first ?? "")])
    case .delete(let names): try file.delete(names)
    case .setAttribute(let object, let name, let value):
      try file.setAttribute(of: object, name, value)
    case .close:
      try opened?.close()
      opened = nil
    }
    return .nothing
  }

  private static let maximumCount = 1 << 30

  private var file: HDF5File {
    get throws(DiffError) {
      guard let opened else { throw DiffError(.usage, "no file is open") }
      return opened
    }
  }
}
