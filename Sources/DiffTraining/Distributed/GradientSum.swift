import Kernels
import SystemSupport
import TensorCore

/// Which gradients a learner reads, and so which of them ranks exchange.
package enum GradientSelection {
  /// Those of some parameters, of tables the rows that a rank has touched.
  case parameters([Int])
  /// Those at some places of the flat buffer, and of some parameters that are no tables.
  case positions([Int], with: [Int])
}

/// Sums the gradients of all ranks, in place: afterwards every rank has the sums.
///
/// Gradients are cut into blocks. Each rank gets a part of every block from all ranks, adds them up
/// in the order of the ranks, and gives the sum to all. So the order of sums depends on nothing but
/// the number of ranks, and a rank hands every gradient to MPI once. A block begins its way as soon
/// as the way back through the model has completed its gradients; places and rows of tables are
/// packed and follow at the end.
package final class GradientSum {
  /// The most values of a block.
  static let blockSize = 1 << 20

  /// A stretch of a buffer that is summed at once.
  private struct Block {
    let buffer: FloatBuffer
    /// The part of each rank.
    let parts: [Range<Int>]
    /// The parameters whose gradients lie in it.
    let parameters: [Int]
  }

  private let ranks: Ranks
  private let gradients: Gradients
  private let selection: GradientSelection
  /// Of parameters that are no tables, in the order in which the way back completes them.
  private let blocks: [Block]
  /// The parameters that are not complete yet.
  private var awaited: Set<Int> = []
  /// The blocks of this step that have begun, and the states of those that are not over: waiting for
  /// what others have, then for their sums.
  private var begun: [Block] = []
  private var exchanges: [(block: Int, transfer: any Transfer, room: FloatBuffer)] = []
  private var gathers: [any Transfer] = []
  /// Memory for parts of other ranks that nothing uses.
  private var rooms: [FloatBuffer] = []
  private var packed = FloatBuffer(count: 0)
  /// Where packed values are from, as far as that is the same in every step.
  private let places: [Range<Int>]
  /// The first error of a transfer; reported by `finish`.
  private var failure: DiffError?

  package init(_ gradients: Gradients, _ selection: GradientSelection, _ ranks: Ranks) {
    self.ranks = ranks
    self.gradients = gradients
    self.selection = selection
    var ranges: [(range: Range<Int>, parameters: [Int])] = []
    if case .parameters(let indices) = selection {
      for parameter in indices.sorted(by: >).map({ gradients.layout.parameters[$0] })
      where !parameter.isTable && !parameter.range.isEmpty {
        let (range, index) = (parameter.range, parameter.index)
        // Neighbours go together, with the zeros between them.
        if let next = ranges.last,
          next.range.lowerBound - range.upperBound < ParameterLayout.alignment,
          next.range.upperBound - range.lowerBound <= Self.blockSize
        {
          ranges[ranges.count - 1] = (
            range.lowerBound..<next.range.upperBound, next.parameters + [index]
          )
        } else {
          ranges.append((range, [index]))
        }
      }
    }
    blocks = ranges.flatMap { item in
      Self.blocks(gradients.values, item.range, item.parameters, ranks.count)
    }
    guard case .positions(let positions, let parameters) = selection else {
      places = []
      return
    }
    var places: [Range<Int>] = []
    for position in positions {
      if let last = places.last, last.upperBound == position {
        places[places.count - 1] = last.lowerBound..<position + 1
      } else {
        places.append(position..<position + 1)
      }
    }
    self.places = places + parameters.map { gradients.layout.parameters[$0].range }
  }

  private static func blocks(
    _ buffer: FloatBuffer, _ range: Range<Int>, _ parameters: [Int], _ ranks: Int
  ) -> [Block] {
    stride(from: range.lowerBound, to: range.upperBound, by: blockSize).map { start in
      let count = min(blockSize, range.upperBound - start)
      let bounds = (0...ranks).map { start + count * $0 / ranks }
      return Block(
        buffer: buffer, parts: zip(bounds, bounds.dropFirst()).map { $0..<$1 },
        parameters: parameters)
    }
  }

  // MARK: A step

  /// Watches the last batch of a step: what it completes goes on its way.
  package func begin() {
    awaited = Set(blocks.flatMap(\.parameters))
    gradients.onComplete = { [unowned self] index in
      awaited.remove(index)
      attempt { () throws(DiffError) in
        while begun.count < blocks.count,
          blocks[begun.count].parameters.allSatisfy({ !awaited.contains($0) })
        {
          try begin(blocks[begun.count])
        }
        try advance()
      }
    }
  }

  /// Waits until all gradients of the selection are sums.
  package func finish() throws(DiffError) {
    gradients.onComplete = nil
    if let failure { throw failure }
    for block in blocks[begun.count...] { try begin(block) }
    let places = try pack()
    let count = places.reduce(0) { $0 + $1.count }
    for block in Self.blocks(packed, 0..<count, [], ranks.count) { try begin(block) }
    try ranks.wait { () throws(DiffError) in
      try advance()
      return exchanges.isEmpty && gathers.isEmpty
    }
    var next = 0
    for range in places {
      gradients.values.copy(packed, next..<next + range.count, to: range.lowerBound)
      next += range.count
    }
    begun = []
  }

  /// Makes the gradients zero at places in rows of tables that this rank has not touched, which
  /// `Gradients.clear` leaves.
  func clear() {
    for range in places { gradients.values.clear(range) }
  }

  private func attempt(_ body: () throws(DiffError) -> Void) {
    guard failure == nil else { return }
    do throws(DiffError) { try body() } catch { failure = error }
  }

  private func begin(_ block: Block) throws(DiffError) {
    let own = block.parts[ranks.rank].count
    let index = rooms.firstIndex { $0.count >= own * ranks.count }
    let room = index.map { rooms.remove(at: $0) } ?? FloatBuffer(count: own * ranks.count)
    guard let transfer = try ranks.exchange(block.buffer, block.parts, into: room) else { return }
    exchanges.append((begun.count, transfer, room))
    begun.append(block)
  }

  /// Moves transfers on, each kind in its order.
  private func advance() throws(DiffError) {
    while let first = exchanges.first, try first.transfer.isOver() {
      exchanges.removeFirst()
      let block = begun[first.block]
      add(first.room, to: block)
      rooms.append(first.room)
      if let transfer = try ranks.gatherSums(block.buffer, block.parts) {
        gathers.append(transfer)
      }
    }
    while let first = gathers.first, try first.isOver() { gathers.removeFirst() }
  }

  /// Makes this rank's part of a block the sum of those of all ranks, in their order.
  private func add(_ room: FloatBuffer, to block: Block) {
    let (rank, count) = (ranks.rank, ranks.count)
    let own = block.parts[rank]
    let width = own.count
    RangeTasks([0..<width]).forEach { [buffer = block.buffer] range in
      func part(_ number: Int) -> FloatMatrix {
        number == rank
          ? FloatMatrix(
            buffer, at: own.lowerBound + range.lowerBound, rows: 1, columns: range.count)
          : FloatMatrix(room, at: number * width + range.lowerBound, rows: 1, columns: range.count)
      }
      for number in 1..<count { Kernels.add(part(number), to: part(0)) }
      if rank > 0 { Kernels.put(part(0), into: part(rank), adding: false) }
    }
  }

  /// Packs what does not lie in one piece, and says where it is from.
  private func pack() throws(DiffError) -> [Range<Int>] {
    var places = places
    if case .parameters(let indices) = selection {
      let tables = indices.filter { gradients.layout.parameters[$0].isTable }
      if tables.isEmpty { return [] }
      try touch(tables)
      places = tables.flatMap { gradients.ranges(of: $0) }
    }
    let count = places.reduce(0) { $0 + $1.count }
    if packed.count < count { packed = FloatBuffer(count: count * 5 / 4) }
    var next = 0
    for range in places {
      packed.copy(gradients.values, range, to: next)
      next += range.count
    }
    return places
  }

  /// Touches the rows of tables that another rank has touched.
  private func touch(_ tables: [Int]) throws(DiffError) {
    let own = tables.enumerated().flatMap { number, table in
      (gradients.touchedRows(of: table) ?? []).flatMap {
        [UInt32(number), UInt32(truncatingIfNeeded: $0)]
      }
    }
    for bytes in try ranks.gather(own.littleEndianBytes) {
      for start in stride(from: 0, to: bytes.count, by: 8) {
        let (number, row): (UInt32, UInt32) = (
          bytes.littleEndian(at: start), bytes.littleEndian(at: start + 4)
        )
        gradients.touch(row: Int(row), of: tables[Int(number)])
      }
    }
  }
}
