import TensorCore

/// A request to libhdf5, in-process or in the helper.
package enum HDF5Request {
  /// Opens the file for reading or for changes, or makes it an HDF5 file without objects.
  case open, openForChanges, create
  /// Returns all tensors and skipped objects.
  case table
  /// Returns the contents other than tensors, attributes included, with hashes.
  case contents
  /// Returns bytes of a tensor, little-endian.
  case read(name: TensorName, offset: UInt64, count: Int)
  /// Overwrites bytes of a tensor.
  case write(name: TensorName, offset: UInt64, bytes: [UInt8])
  /// Replaces chunks of a tensor by packed ones.
  case writeChunks(name: TensorName, [PackedChunk])
  /// Adds tensors.
  case insert([(name: TensorName, type: ElementType, shape: Shape)])
  /// Changes the shape of a tensor, under all its names.
  case reshape(names: [TensorName], Shape)
  /// Removes all names of a tensor.
  case delete(names: [TensorName])
  /// Sets an attribute of an object, or removes it; an object that does not exist becomes a group.
  case setAttribute(object: TensorName, name: String, AttributeValue?)
  /// Flushes and closes the file.
  case close
}

extension HDF5Request {
  package var message: [UInt8] {
    var out = MessageWriter()
    out.put(number)
    switch self {
    case .open, .openForChanges, .create, .table, .contents, .close: break
    case .read(let name, let offset, let count):
      out.put(name)
      out.put(offset)
      out.put(count)
    case .write(let name, let offset, let bytes):
      out.put(name)
      out.put(offset)
      out.put(bytes)
    case .writeChunks(let name, let chunks):
      out.put(name)
      out.put(chunks.count)
      for chunk in chunks {
        out.put(chunk.start)
        out.put(UInt64(chunk.filterMask))
        out.put(chunk.bytes)
      }
    case .insert(let tensors):
      out.put(tensors.count)
      for tensor in tensors {
        out.put(tensor.name)
        out.put(UInt64(tensor.type.rawValue))
        out.put(tensor.shape.extents)
      }
    case .reshape(let names, let shape):
      out.put(names)
      out.put(shape.extents)
    case .delete(let names): out.put(names)
    case .setAttribute(let object, let name, let value):
      out.put(object)
      out.put(name)
      out.put(value)
    }
    return out.bytes
  }

  private var number: UInt64 {
    switch self {
    case .open: 0
    case .openForChanges: 1
    case .create: 2
    case .table: 3
    case .read: 4
    case .write: 5
    case .writeChunks: 6
    case .insert: 7
    case .reshape: 8
    case .delete: 9
    case .setAttribute: 10
    case .close: 11
    case .contents: 12
    }
  }

  package init(_ message: [UInt8]) throws(DiffError) {
    var reader = MessageReader(message)
    switch try reader.number() {
    case 0: self = .open
    case 1: self = .openForChanges
    case 2: self = .create
    case 3: self = .table
    case 4:
      self = .read(
        name: try reader.name(), offset: try reader.number(),
        count: Int(clamping: try reader.number()))
    case 5:
      self = .write(
        name: try reader.name(), offset: try reader.number(), bytes: try reader.run())
    case 6:
      let name = try reader.name()
      let count = try reader.count(width: 24)
      let chunks = try (0..<count).map { (_) throws(DiffError) in
        PackedChunk(
          start: try reader.numbers(), filterMask: UInt32(truncatingIfNeeded: try reader.number()),
          bytes: try reader.run())
      }
      self = .writeChunks(name: name, chunks)
    case 7:
      let count = try reader.count(width: 24)
      self = .insert(
        try (0..<count).map { (_) throws(DiffError) in
          (try reader.name(), try reader.type(), try reader.shape())
        })
    case 8: self = .reshape(names: try reader.names(), try reader.shape())
    case 9: self = .delete(names: try reader.names())
    case 10:
      self = .setAttribute(
        object: try reader.name(), name: try reader.text(), try reader.value())
    case 11: self = .close
    case 12: self = .contents
    default: throw .brokenMessage
    }
    try reader.end()
  }
}
