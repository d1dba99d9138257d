#if Distributed
import CMPI
import Platform
import TensorCore

/// The transport of Open MPI, for use by one thread.
@safe final class MPITransport: Transport {
  /// True if this build includes MPI.
  static let isIncluded = true

  let rank, count, neighbours: Int
  let host: String
  /// The communicators of the kinds of transfers.
  private let mpi: dk_mpi

  init() throws(DiffError) {
    var mpi = unsafe dk_mpi()
    try Self.check(unsafe dk_mpi_start(&mpi))
    var name = [CChar](repeating: 0, count: Int(DK_MPI_TEXT) + 1)
    try Self.check(unsafe dk_mpi_host(&name))
    unsafe self.mpi = mpi
    (rank, count) = unsafe (Int(mpi.rank), Int(mpi.count))
    neighbours = unsafe Int(mpi.neighbours)
    host = Self.text(name)
  }

  func exchange(
    _ words: FloatBuffer, _ parts: [Range<Int>], into received: FloatBuffer
  ) throws(DiffError) -> any Transfer {
    let own = parts[rank].count
    precondition(received.count >= own * count && parts.allSatisfy { $0.upperBound <= words.count })
    let start = parts[0].lowerBound
    let others = parts.indices.map { $0 == rank ? 0 : 1 }
    let transfer = MPITransfer([
      zip(parts, others).map { $0.count * $1 }, parts.map { $0.lowerBound - start },
      others.map { own * $0 }, parts.indices.map { own * $0 },
    ])
    try Self.check(
      unsafe dk_mpi_exchange(
        mpi.exchanges, words.pointer(at: start), transfer[0], transfer[1], received.pointer(),
        transfer[2], transfer[3], &transfer.request))
    return transfer
  }

  func gather(
    _ words: FloatBuffer, _ parts: [Range<Int>], isSum: Bool
  ) throws(DiffError) -> any Transfer {
    precondition(parts.allSatisfy { $0.upperBound <= words.count })
    let start = parts[0].lowerBound
    let transfer = MPITransfer([parts.map(\.count), parts.map { $0.lowerBound - start }])
    try Self.check(
      unsafe dk_mpi_gather(
        isSum ? mpi.sums : mpi.others, words.pointer(at: start), transfer[0], transfer[1],
        &transfer.request))
    return transfer
  }

  func broadcast(
    _ words: FloatBuffer, _ range: Range<Int>
  ) throws(DiffError) -> any Transfer {
    precondition(range.upperBound <= words.count)
    let transfer = MPITransfer([])
    try Self.check(
      unsafe dk_mpi_broadcast(
        mpi.others, words.pointer(at: range.lowerBound), Int32(range.count), &transfer.request))
    return transfer
  }

  func finish() { dk_mpi_finish() }

  func abort() { dk_mpi_abort(2) }

  fileprivate static func check(_ status: Int32) throws(DiffError) {
    guard status != 0 else { return }
    var words = [CChar](repeating: 0, count: Int(DK_MPI_TEXT) + 1)
    unsafe dk_mpi_error(status, &words)
    throw DiffError(.io, "MPI reported: \(text(words))")
  }

  private static func text(_ characters: [CChar]) -> String {
    String(
      decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// A request of MPI, and the numbers that it reads until it is complete.
@safe private final class MPITransfer: Transfer {
  var request: MPI_Request?
  private let numbers: UnsafeMutablePointer<Int32>
  /// The index of the first number of each list.
  private let starts: [Int]
  private var over = false

  init(_ lists: [[Int]]) {
    let all = lists.flatMap(\.self).map { Int32($0) }
    unsafe numbers = .allocate(capacity: max(1, all.count))
    for (index, number) in all.enumerated() { unsafe (numbers + index).initialize(to: number) }
    starts = lists.indices.map { lists[..<$0].reduce(0) { $0 + $1.count } }
  }

  deinit { unsafe numbers.deallocate() }

  subscript(list: Int) -> UnsafePointer<Int32> { unsafe UnsafePointer(numbers + starts[list]) }

  func isOver() throws(DiffError) -> Bool {
    if over { return true }
    var flag: Int32 = 0
    try MPITransport.check(unsafe dk_mpi_test(&request, &flag))
    over = flag != 0
    return over
  }
}
#endif
