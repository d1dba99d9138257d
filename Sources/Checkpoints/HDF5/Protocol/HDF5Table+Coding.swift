import TensorCore

extension MessageWriter {
  package mutating func put(_ table: HDF5Table) {
    put(table.tensors.count)
    for tensor in table.tensors { put(tensor) }
    put(table.skipped.count)
    for object in table.skipped {
      put(object.name)
      put(object.reason)
      put(object.mayHoldNumbers ? 1 : 0)
    }
    put(table.damaged.count)
    for error in table.damaged { put(error) }
    put(table.metadata.count)
    for (name, text) in table.metadata {
      put(name)
      put(text)
    }
  }

  package mutating func put(_ tensor: StoredTensor) {
    put(tensor.name)
    put(tensor.aliases)
    put(UInt64(tensor.type.rawValue))
    put(tensor.shape.extents)
    put(tensor.isBigEndian ? 1 : 0)
    put(tensor.fill)
    put(tensor.label.map { [$0] } ?? [])
    switch tensor.storage {
    case .unallocated: put(0)
    case .compact: put(1)
    case .contiguous(let offset):
      put(2)
      put(offset)
    case .chunked(let chunks):
      put(3)
      put(chunks.shape.extents)
      put(chunks.filtersEdges ? 1 : 0)
      put(chunks.filters.flatMap(\.numbers))
      put(chunks.chunks.count)
      for chunk in chunks.chunks {
        put(chunk.index)
        put(chunk.offset)
        put(chunk.size)
        put(UInt64(chunk.filterMask))
      }
    }
  }
}

extension MessageReader {
  package mutating func table() throws(DiffError) -> HDF5Table {
    var table = HDF5Table()
    for _ in 0..<(try count(width: 72)) { table.tensors.append(try tensor()) }
    for _ in 0..<(try count(width: 24)) {
      table.skipped.append(
        SkippedObject(name: try name(), reason: try text(), mayHoldNumbers: try flag()))
    }
    for _ in 0..<(try count(width: 32)) { table.damaged.append(try error()) }
    for _ in 0..<(try count(width: 16)) { table.metadata[try text()] = try text() }
    try end()
    return table
  }

  package mutating func tensor() throws(DiffError) -> StoredTensor {
    var tensor = StoredTensor(
      name: try name(), aliases: try names(), type: try type(), shape: try shape(),
      isBigEndian: try flag(), storage: .unallocated, fill: try number(),
      label: try texts().first)
    switch try number() {
    case 0: break
    case 1: tensor.storage = .compact
    case 2: tensor.storage = .contiguous(offset: try number())
    case 3:
      let shape = try shape()
      let filtersEdges = try flag()
      let filters = try numbers()
      guard filters.count % 2 == 0 else { throw .brokenMessage }
      let chunks = try (0..<count(width: 32)).map { (_) throws(DiffError) in
        StoredTensor.Chunk(
          index: try number(), offset: try number(), size: try number(),
          filterMask: UInt32(truncatingIfNeeded: try number()))
      }
      tensor.storage = .chunked(
        StoredTensor.Chunks(
          shape: shape,
          filters: stride(from: 0, to: filters.count, by: 2).map {
            StoredTensor.Filter(filters[$0], filters[$0 + 1])
          },
          filtersEdges: filtersEdges, chunks: chunks))
    default: throw .brokenMessage
    }
    return tensor
  }
}

extension StoredTensor.Filter {
  /// The HDF5 filter number and a parameter.
  fileprivate var numbers: [UInt64] {
    switch self {
    case .deflate(let level): [1, UInt64(clamping: level)]
    case .shuffle: [2, 0]
    case .fletcher32: [3, 0]
    case .szip: [4, 0]
    case .other(let number): [UInt64(clamping: number), 1]
    }
  }

  fileprivate init(_ number: UInt64, _ parameter: UInt64) {
    switch (number, parameter) {
    case (1, let level) where level <= 9: self = .deflate(level: Int(level))
    case (2, 0): self = .shuffle
    case (3, 0): self = .fletcher32
    case (4, 0): self = .szip
    default: self = .other(Int(clamping: number))
    }
  }
}
