import Checkpoints
import SystemSupport
import TensorCore

/// The index of a dataset's chunks that has no checksums, a B-tree of version 1, read from the bytes
/// of the file.
///
/// Before HDF5 1.14 the library rounds the start of a chunk down to a whole chunk, so that a damaged
/// one is another chunk. The numbers as they are stored can only be found here.
struct HDF5ChunkTree {
  private let file: File
  /// The offset from which the file counts addresses.
  private let start: UInt64
  private let chunk: [UInt64]

  init(_ file: File, userBlock: UInt64, chunk: Shape) {
    self.file = file
    start = userBlock
    self.chunk = chunk.extents
  }

  /// Refuses a chunk that begins where none can.
  ///
  /// - Parameter header: the address of the dataset's object header.
  /// - Throws: `malformed` with the offset of the node that has it.
  /// - Complexity: O(chunks), or O(1) for the other indexes.
  func check(header: UInt64) throws(DiffError) {
    guard let layout = try layoutMessage(header), let root = root(layout) else { return }
    var visits = 1 << 24
    try check(node: root, level: nil, &visits)
  }

  /// The bytes at an address; nil if the file ends before.
  private func bytes(_ address: UInt64, _ count: Int) throws(DiffError) -> [UInt8]? {
    let (offset, overflow) = start.addingReportingOverflow(address)
    let size = try file.size
    guard !overflow, offset <= size, UInt64(count) <= size - offset else { return nil }
    return try file.bytes(at: offset, count: count)
  }

  private func check(node: UInt64, level: UInt8?, _ visits: inout Int) throws(DiffError) {
    visits -= 1
    guard visits > 0, let head = try bytes(node, 24), head.starts(with: "TREE".utf8), head[4] == 1,
      level.map({ head[5] < $0 }) ?? true
    else { return }
    let count = Int(head.littleEndian(at: 6) as UInt16)
    let key = 8 + 8 * (chunk.count + 1)
    guard let entries = try bytes(node + 24, count * (key + 8)) else { return }
    for number in 0..<count {
      let at = number * (key + 8)
      if head[5] > 0 {
        try check(node: entries.littleEndian(at: at + key), level: head[5], &visits)
        continue
      }
      for (axis, extent) in chunk.enumerated() {
        let place: UInt64 = entries.littleEndian(at: at + 8 + 8 * axis)
        guard place % max(1, extent) == 0 else {
          throw DiffError(
            .malformed, "the index of its chunks has one that begins at no chunk",
            offset: start + node)
        }
      }
    }
  }

  /// The address of the tree that a layout message names; nil if it names another index.
  private func root(_ message: [UInt8]) -> UInt64? {
    guard message.count >= 11 else { return nil }
    let rank = UInt8(chunk.count + 1)
    switch message[0] {
    case 1, 2:
      guard message.count >= 16, message[1] == rank, message[2] == 2 else { return nil }
      return message.littleEndian(at: 8)
    case 3:
      guard message[1] == 2, message[2] == rank else { return nil }
      return message.littleEndian(at: 3)
    default: return nil
    }
  }

  /// The data of the layout message of an object header; nil if there is none that is understood.
  private func layoutMessage(_ address: UInt64) throws(DiffError) -> [UInt8]? {
    guard let head = try bytes(address, 16) else { return nil }
    var blocks: [(address: UInt64, size: UInt64)] = []
    // In the second version, messages have shorter heads, by 2 bytes longer if they are numbered.
    var headSize = 8
    let isSecond = head.starts(with: "OHDR".utf8)
    if isSecond {
      guard head[4] == 2 else { return nil }
      headSize = head[5] & 4 == 0 ? 4 : 6
      let first = 6 + (head[5] & 0x20 == 0 ? 0 : 16) + (head[5] & 0x10 == 0 ? 0 : 4)
      let width = 1 << Int(head[5] & 3)
      guard let size = try bytes(address + UInt64(first), width) else { return nil }
      blocks = [
        (address + UInt64(first + width), size.reversed().reduce(0) { $0 << 8 | UInt64($1) })
      ]
    } else {
      guard head[0] == 1 else { return nil }
      blocks = [(address + 16, UInt64(head.littleEndian(at: 8) as UInt32))]
    }
    var number = 0
    while number < blocks.count && number < 1000 {
      let (address, size) = blocks[number]
      number += 1
      guard size <= 1 << 24, let block = try bytes(address, Int(size)) else { continue }
      var at = 0
      while at + headSize <= block.count {
        let type = isSecond ? UInt16(block[at]) : block.littleEndian(at: at) as UInt16
        let size = Int(block.littleEndian(at: at + (isSecond ? 1 : 2)) as UInt16)
        let data = at + headSize
        guard data + size <= block.count else { break }
        if type == 8 { return Array(block[data..<data + size]) }
        if type == 16, size >= 16 {
          let (next, length): (UInt64, UInt64) = (
            block.littleEndian(at: data), block.littleEndian(at: data + 8)
          )
          // Between a signature and a checksum, in the second version.
          if !isSecond {
            blocks.append((next, length))
          } else if length >= 8, next < .max - 4 {
            blocks.append((next + 4, length - 8))
          }
        }
        at = data + size
      }
    }
    return nil
  }
}
