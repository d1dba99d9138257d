import CHDF5
import Checkpoints
import Platform
import TensorCore

/// The stored chunks of a dataset.
///
/// Before HDF5 1.12.3 the library gives chunks by number, each after a pass over those before it.
/// What passes over all of them once is `H5Ddebug`, which prints them: a process that may take its
/// standard output away for that moment has the whole table in O(n), about 0.6 µs a chunk. Another
/// one has it in O(n²).
enum HDF5ChunkTable {
  /// The chunks in row-major order of their place.
  ///
  /// - Parameter userBlock: the bytes in front of the HDF5 part of the file, from which the
  ///   library counts addresses of chunks.
  static func chunks(
    of dataset: hid_t, _ space: hid_t, _ shape: Shape, _ chunk: Shape, userBlock: UInt64,
    takesStandardOutput: Bool
  ) throws(DiffError) -> [StoredTensor.Chunk] {
    // Without any, some versions crash on the table that is not there.
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
      guard !overflow, let index = index(of: record.place, shape, chunk) else {
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
    /// The element that the chunk begins with.
    var place: [UInt64]
  }

  /// Refuses a chunk that a search does not find: some indexes have no checksums, and whoever reads
  /// elements by the library gets, for such a chunk, the fill value.
  private static func requireFound(
    _ record: Record, _ dataset: hid_t, _ shape: Shape
  ) throws(DiffError) {
    guard record.place.count >= shape.extents.count else { return }
    var size: hsize_t = 0
    let found = unsafe H5Dget_chunk_storage_size(dataset, record.place, &size) >= 0
    guard found, size == record.size else {
      throw DiffError(
        .malformed, "the index of its chunks is inconsistent", offset: record.address)
    }
  }

  /// The row-major index of the chunk that begins at the element `place`.
  private static func index(of place: [UInt64], _ shape: Shape, _ chunk: Shape) -> UInt64? {
    guard place.count >= shape.extents.count else { return nil }
    var index: UInt64 = 0
    for (at, (extent, side)) in zip(place, zip(shape.extents, chunk.extents)) {
      guard at < extent, at % side == 0 else { return nil }
      // Below the number of elements, so no overflow.
      index = index * ((extent - 1) / side + 1) + at / side
    }
    return index
  }

  private static func numbered(_ dataset: hid_t, _ space: hid_t) throws(DiffError) -> [Record] {
    let what = "cannot look up the chunks"
    var count: hsize_t = 0
    try unsafe H5Dget_num_chunks(dataset, space, &count).orThrow(what)
    var place = [hsize_t](repeating: 0, count: Shape.maximumRank)
    return try (0..<count).map { (number) throws(DiffError) in
      var filterMask: UInt32 = 0
      var address: haddr_t = 0
      var size: hsize_t = 0
      try unsafe H5Dget_chunk_info(
        dataset, space, number, &place, &filterMask, &address, &size
      ).orThrow(what)
      return Record(
        filterMask: filterMask, size: UInt64(size), address: UInt64(address),
        place: place.map { UInt64($0) })
    }
  }

  private static func iterated(
    _ dataset: hid_t, rank: Int
  ) throws(DiffError) -> [Record] {
    let found = Found(rank: rank)
    try unsafe dk_iterate_chunks(
      dataset,
      { place, filterMask, address, size, context in
        guard let place = unsafe place, let context = unsafe context else { return 0 }
        let found = unsafe Unmanaged<Found>.fromOpaque(context).takeUnretainedValue()
        found.records.append(
          Record(
            filterMask: filterMask, size: UInt64(size), address: UInt64(address),
            place: (0..<found.rank).map { unsafe place[$0] }))
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
    // A line: mask, size, address, the place in brackets, its last number of no meaning.
    for line in bytes.split(separator: CChar(bitPattern: UInt8(ascii: "\n"))) {
      guard let numbers = numbers(line), numbers.count >= 4 else { continue }
      records.append(
        Record(
          filterMask: UInt32(truncatingIfNeeded: numbers[0]), size: numbers[1],
          address: numbers[2], place: Array(numbers[3...].dropLast())))
    }
    return records
  }

  /// The numbers of a line that begins with a hexadecimal one; nil for other lines.
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
