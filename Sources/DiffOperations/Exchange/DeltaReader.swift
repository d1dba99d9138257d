import Kernels
import TensorCore

/// Applies a delta to the blocks of a tensor, in order.
enum DeltaReader {
  /// The exclusive-or of all bytes.
  case xor(PayloadReader)
  /// The changed bytes.
  case overwrite(OverwriteReader)

  init(_ delta: PublishedDelta, _ payload: PublishedDelta.Payload, byteCount: UInt64)
    throws(DiffError)
  {
    guard delta.format == .deltaOverwrite else {
      self = .xor(delta.bytes(of: payload))
      return
    }
    self = .overwrite(try OverwriteReader(delta, payload, byteCount: byteCount))
  }

  /// Changes the block whose first byte is at `offset`.
  mutating func apply(to block: inout [UInt8], at offset: UInt64) throws(DiffError) {
    switch self {
    case .xor(var reader):
      let bytes = try reader.read(block.count)
      self = .xor(reader)
      var span = block.mutableSpan
      Kernels.xor(&span, with: bytes.span)
    case .overwrite(var reader):
      try reader.apply(to: &block, at: offset)
      self = .overwrite(reader)
    }
  }

  /// Requires that the delta ends at the end of the tensor.
  mutating func finish() throws(DiffError) {
    switch self {
    case .xor(var reader): try reader.finish()
    case .overwrite(var reader): try reader.finish()
    }
  }
}

/// Reads positions and new values of bytes. A payload has all positions before all values, so it is
/// expanded by two readers, one for each.
struct OverwriteReader {
  private let payload: PublishedDelta.Payload
  private let byteCount: UInt64
  private var positionBytes, valueBytes: PayloadReader
  /// The number of positions that have not been read.
  private var rest: UInt32
  /// The last positions read and their values, of which those from `next` on are to be applied.
  private var positions: [UInt32] = []
  private var values: [UInt8] = []
  private var next = 0
  private var last: UInt32?

  init(_ delta: PublishedDelta, _ payload: PublishedDelta.Payload, byteCount: UInt64)
    throws(DiffError)
  {
    self.payload = payload
    self.byteCount = byteCount
    positionBytes = delta.bytes(of: payload)
    rest = try positionBytes.read(4).littleEndian(at: 0)
    guard UInt64(rest) <= byteCount else {
      throw DiffError(
        .malformed, "changes \(rest) of \(byteCount) bytes", path: payload.file.path,
        tensor: payload.name)
    }
    valueBytes = delta.bytes(of: payload)
    try valueBytes.skip(4 + 4 * UInt64(rest))
  }

  mutating func apply(to block: inout [UInt8], at offset: UInt64) throws(DiffError) {
    let end = offset + UInt64(block.count)
    while true {
      if next == positions.count {
        guard rest > 0 else { return }
        try load()
      }
      while next < positions.count, UInt64(positions[next]) < end {
        block[Int(UInt64(positions[next]) - offset)] = values[next]
        next += 1
      }
      if next < positions.count { return }
    }
  }

  /// Reads the next positions and values.
  private mutating func load() throws(DiffError) {
    let count = Int(min(rest, 1 << 15))
    let bytes = try positionBytes.read(4 * count)
    positions = (0..<count).map { bytes.littleEndian(at: 4 * $0) }
    values = try valueBytes.read(count)
    next = 0
    rest -= UInt32(count)
    for position in positions {
      guard last.map({ $0 < position }) ?? true, UInt64(position) < byteCount else {
        throw DiffError(
          .malformed, "has positions out of order or outside the tensor",
          path: payload.file.path, tensor: payload.name)
      }
      last = position
    }
  }

  mutating func finish() throws(DiffError) { try valueBytes.finish() }
}
