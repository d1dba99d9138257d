import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// Transfers between ranks that are threads of this process.
final class MemoryTransport: Transport {
  /// What all ranks have sent.
  final class Board: Sendable {
    private let sent = Guarded<[Key: [Int: [[Float]]]]>([:])

    struct Key: Hashable {
      let kind: String
      let number: Int
    }

    func put(_ key: Key, _ rank: Int, _ parts: [[Float]]) {
      sent.withLock { $0[key, default: [:]][rank] = parts }
    }

    /// What some ranks have sent, when all of them have.
    func take(_ key: Key, from ranks: Range<Int>) -> [[[Float]]]? {
      let all = sent.withLock { $0[key] ?? [:] }
      let parts = ranks.compactMap { all[$0] }
      return parts.count == ranks.count ? parts : nil
    }
  }

  let rank, count: Int
  let neighbours = 1
  let host: String
  private let board: Board
  private var numbers: [String: Int] = [:]

  init(_ board: Board, rank: Int, count: Int) {
    (self.board, self.rank, self.count) = (board, rank, count)
    host = "thread \(rank)"
  }

  func exchange(
    _ words: FloatBuffer, _ parts: [Range<Int>], into received: FloatBuffer
  ) throws(DiffError) -> any Transfer {
    let own = parts[rank].count
    return transfer("exchange", parts.map { words.elements($0) }, from: 0..<count) { [rank] all in
      for (other, parts) in all.enumerated() where other != rank {
        received.take(parts[rank], at: other * own)
      }
    }
  }

  func gather(
    _ words: FloatBuffer, _ parts: [Range<Int>], isSum: Bool
  ) throws(DiffError) -> any Transfer {
    transfer(isSum ? "sums" : "others", [words.elements(parts[rank])], from: 0..<count) { all in
      for (part, sent) in zip(parts, all) { words.take(sent[0], at: part.lowerBound) }
    }
  }

  func broadcast(_ words: FloatBuffer, _ range: Range<Int>) throws(DiffError) -> any Transfer {
    transfer("others", rank == 0 ? [words.elements(range)] : [], from: 0..<1) { all in
      words.take(all[0][0], at: range.lowerBound)
    }
  }

  func finish() {}
  func abort() {}

  private func transfer(
    _ kind: String, _ parts: [[Float]], from ranks: Range<Int>,
    _ arrive: @escaping ([[[Float]]]) -> Void
  ) -> any Transfer {
    let key = Board.Key(kind: kind, number: numbers[kind, default: 0])
    numbers[kind, default: 0] += 1
    board.put(key, rank, parts)
    return Arrival(board, key, ranks, arrive)
  }

  private final class Arrival: Transfer {
    private let board: Board
    private let key: Board.Key
    private let ranks: Range<Int>
    private var arrive: (([[[Float]]]) -> Void)?

    init(
      _ board: Board, _ key: Board.Key, _ ranks: Range<Int>,
      _ arrive: @escaping ([[[Float]]]) -> Void
    ) {
      (self.board, self.key, self.ranks, self.arrive) = (board, key, ranks, arrive)
    }

    func isOver() -> Bool {
      guard let arrive else { return true }
      guard let all = board.take(key, from: ranks) else { return false }
      arrive(all)
      self.arrive = nil
      return true
    }
  }

  /// What `body` makes on each of so many ranks, each a thread.
  static func run<Result: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Ranks) throws -> Result
  ) throws -> [Result] {
    let board = Board()
    let results = Guarded<[Int: Swift.Result<Result, any Error>]>([:])
    for rank in 0..<count {
      _ = BackgroundThread.start {
        let ranks = Ranks(MemoryTransport(board, rank: rank, count: count))
        let result = Swift.Result { try body(ranks) }
        results.withLock { $0[rank] = result }
      }
    }
    while results.withLock({ $0.count }) < count { usleep(1000) }
    let all = results.withLock { $0 }
    return try all.keys.sorted().compactMap { try all[$0]?.get() }
  }
}

extension FloatBuffer {
  fileprivate func take(_ values: [Float], at start: Int) {
    var span = mutableSpan
    for (index, value) in values.enumerated() { span[start + index] = value }
  }
}
