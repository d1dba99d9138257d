import CHDF5
import Checkpoints
import Platform
import TensorCore

/// The stored chunks of a dataset.
///
/// Before HDF5 1.12.3 the library returns chunks by index, and iterates over all previous ones each
/// time. Only `H5Ddebug`, which prints them, iterates once: a process that may redirect its
/// standard output meanwhile gets the whole table in O(n), about 0.6 µs a chunk; others need O(n²).
enum HDF5ChunkTable {
  /// Returns the chunks, ascending by index.
  ///
  /// - Parameter userBlock: the size of the user block before the HDF5 part of the file, from which
  ///   the library counts addresses of chunks.
  static func chunks(
    of dataset: hid_t, _ space: hid_t, _ shape: Shape, _ chunk: Shape, userBlock: UInt64,
    takesStandardOutput: Bool
  ) throws(DiffError) -> [StoredTensor.Chunk] {
    // Without chunks, some versions crash on the missing table.
    var status = H5D_SPACE_STATUS_ERROR
    try unsafe H5Dget_space_status(dataset, &status).orThrow("cannot look up the chunks")
    guard status != H5D_SPACE_STATUS_NOT_ALLOCATED else { return [] }
    let records =
      try dk_can_iterate_chunks()
      ? iterated(dataset, rank: shape.extents.count)
      : takesStandardOutput ? printed(dataset) : numbered(dataset, space)
    for record in records { try requireFound(record, dataset, shape) }
    let addend = dk_chunk_addresses_count_user_block() ? 0 : userBlock
    return try records.map { (record) throws(DiffError) in
      let (offset, overflow) = record.address.addingReportingOverflow(addend)
      guard !overflow, let index = index(of: record.start, shape, chunk) else {
        throw DiffError(
          .malformed, "a chunk is outside the file or the tensor", offset: record.address)
      }
      return StoredTensor.Chunk(
        index: index, offset: offset, size: record.size, filterMask: record.filterMask)
    }.sorted { $0.index < $1.index }
  }

  private struct Record {
    var filterMask: UInt32
    var size, address: UInt64
    /// The coordinates of its first element.
    var start: [UInt64]
  }

  /// Refuses a chunk that a look-up does not find: some chunk indexes have no checksums, and for
  /// such a chunk other readers get the fill value from the library.
  private static func requireFound(
    _ record: Record, _ dataset: hid_t, _ shape: Shape
  ) throws(DiffError) {
    guard record.start.count >= shape.extents.count else { return }
    var size: hsize_t = 0
    let found = unsafe H5Dget_chunk_storage_size(dataset, record.start, &size) >= 0
    guard found, size == record.size else {
      throw DiffError(
        .malformed, "the index of its chunks is inconsistent", offset: record.address)
    }
  }

  /// Returns the row-major index of the chunk whose first element is at `start`.
  private static func index(of start: [UInt64], _ shape: Shape, _ chunk: Shape) -> UInt64? {
    guard start.count >= shape.extents.count else { return nil }
    var index: UInt64 = 0
    for (at, (extent, side)) in zip(start, zip(shape.extents, chunk.extents)) {
      guard at < extent, at % side == 0 else { return nil }
      // At most the number of elements, so it cannot overflow.
      index = index * ((extent - 1) / side + 1) + at / side
    }
    return index
  }

  private static func numbered(_ dataset: hid_t, _ space: hid_t) throws(DiffError) -> [Record] {
    let what = "cannot look up the chunks"
    var count: hsize_t = 0
    try unsafe H5Dget_num_chunks(dataset, space, &count).orThrow(what)
    var start = [hsize_t](repeating: 0, count: Shape.maximumRank)
    return try (0..<count).map { (number) throws(DiffError) in
      var filterMask: UInt32 = 0
      var address: haddr_t = 0
      var size: hsize_t = 0
      try unsafe H5Dget_chunk_info(
        dataset, space, number, &start, &filterMask, &address, &size
      ).orThrow(what)
      return Record(
        filterMask: filterMask, size: UInt64(size), address: UInt64(address),
        start: start.map { UInt64($0) })
    }
  }

  private static func iterated(
    _ dataset: hid_t, rank: Int
  ) throws(DiffError) -> [Record] {
    let found = Found(rank: rank)
    try unsafe dk_iterate_chunks(
      dataset,
      { start, filterMask, address, size, context in
        guard let start = unsafe start, let context = unsafe context else { return 0 }
        let found = unsafe Unmanaged<Found>.fromOpaque(context).takeUnretainedValue()
        found.records.append(
          Record(
            filterMask: filterMask, size: UInt64(size), address: UInt64(address),
            start: (0..<found.rank).map { unsafe start[$0] }))
        return 0
      }, Unmanaged.passUnretained(found).toOpaque()
    ).orThrow("cannot look up the chunks")
    return found.records
  }

  private final class Found {
    let rank: Int
    var records: [Record] = []

    init(rank: Int) { self.rank = rank }
  }

  private static func printed(_ dataset: hid_t) throws(DiffError) -> [Record] {
    var text: UnsafeMutablePointer<CChar>?
    var length = 0
    let status = unsafe dk_print_chunks(dataset, &text, &length)
    defer { unsafe free(text) }
    try status.orThrow("cannot look up the chunks")
    let bytes = unsafe Array(UnsafeBufferPointer(start: text, count: length))
    var records: [Record] = []
    // A line: mask, size, address, and the start in brackets, whose last number is meaningless.
    for line in bytes.split(separator: CChar(bitPattern: UInt8(ascii: "\n"))) {
      guard let numbers = numbers(line), numbers.count >= 4 else { continue }
      records.append(
        Record(
          filterMask: UInt32(truncatingIfNeeded: numbers[0]), size: numbers[1],
          address: numbers[2], start: Array(numbers[3...].dropLast())))
    }
    return records
  }

  /// Returns the numbers of a line that begins with a hexadecimal number; nil for other lines.
  private static func numbers(_ line: some Collection<CChar>) -> [UInt64]? {
    let words = line.split { !isDigit($0) }
    guard let first = words.first, first.starts(with: "0x".utf8.map { CChar($0) }) else {
      return nil
    }
    return words.enumerated().map { index, word in
      word.dropFirst(index == 0 ? 2 : 0).reduce(0) { value, digit in
        let digit = UInt64(UInt8(bitPattern: digit))
        return index == 0
          ? value << 4 | (digit <= 57 ? digit - 48 : (digit | 32) &- 87)
          : value &* 10 &+ digit &- 48
      }
    }
  }

  private static func isDigit(_ character: CChar) -> Bool {
    switch UInt8(bitPattern: character) {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
      UInt8(ascii: "x"):
      true
    default: false
    }
  }
}
