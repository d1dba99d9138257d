import Kernels
import SystemSupport
import TensorCore

/// The gradients that a learner reads, which ranks therefore exchange.
package enum GradientSelection {
  /// The gradients of some parameters; of tables only the rows that a rank has touched.
  case parameters([Int])
  /// The gradients at some positions of the flat buffers, and of some parameters that are not
  /// tables.
  case positions([Int], with: [Int])
}

/// The sum of the gradients of all ranks, in place: afterwards every rank has the sums.
///
/// Gradients are cut into blocks. Each rank gets a part of every block from all ranks, adds them up
/// in the order of the ranks, and gives the sum to all. So the order of sums depends on nothing but
/// the number of ranks, and a rank passes every gradient to MPI once. The transfer of a block
/// begins as soon as the backward pass has completed its gradients; positions and rows of tables
/// are packed and follow at the end.
package final class GradientSum {
  /// The maximum number of values in a block.
  static let blockSize = 1 << 20

  private let ranks: Ranks
  private let gradients: Gradients
  private let selection: GradientSelection
  /// The blocks of parameters that are not tables, in the order in which the backward pass
  /// completes them.
  private let blocks: [GradientBlock]
  /// The parameters that are not complete yet.
  private var awaited: Set<Int> = []
  /// The number of blocks whose transfer has begun in this step.
  private var begun = 0
  /// The blocks that wait for the parts of other ranks, and those that wait for their sums.
  private var exchanges: [(block: TravellingBlock, transfer: any Transfer)] = []
  private var gathers: [(block: TravellingBlock, transfer: any Transfer)] = []
  /// Buffers that no transfer uses.
  private var spare: [FloatBuffer] = []
  private var packed = FloatBuffer(count: 0)
  /// The ranges that packed values are copied from, if they are the same in every step.
  private let packedRanges: [Range<Int>]
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
        // Neighbours are joined, with the zeros between them.
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
      Self.blocks(gradients.values, item.range, item.parameters, among: ranks.count)
    }
    guard case .positions(let positions, let parameters) = selection else {
      packedRanges = []
      return
    }
    var packedRanges: [Range<Int>] = []
    for position in positions {
      if let last = packedRanges.last, last.upperBound == position {
        packedRanges[packedRanges.count - 1] = last.lowerBound..<position + 1
      } else {
        packedRanges.append(position..<position + 1)
      }
    }
    self.packedRanges = packedRanges + parameters.map { gradients.layout.parameters[$0].range }
  }

  private static func blocks(
    _ buffer: FloatBuffer, _ range: Range<Int>, _ parameters: [Int], among count: Int
  ) -> [GradientBlock] {
    stride(from: range.lowerBound, to: range.upperBound, by: blockSize).map { start in
      GradientBlock(
        buffer, start..<min(start + blockSize, range.upperBound), parameters, among: count)
    }
  }

  // MARK: A step

  /// Starts to transfer the gradients that the last batch of a step completes.
  package func begin() {
    awaited = Set(blocks.flatMap(\.parameters))
    gradients.onComplete = { [unowned self] index in
      awaited.remove(index)
      attempt { () throws(DiffError) in
        while begun < blocks.count, awaited.isDisjoint(with: blocks[begun].parameters) {
          try begin(blocks[begun])
        }
        try advance()
      }
    }
  }

  /// Waits until all gradients of the selection are sums.
  package func finish() throws(DiffError) {
    gradients.onComplete = nil
    if let failure { throw failure }
    for block in blocks[begun...] { try begin(block) }
    let packedRanges = try pack()
    let count = packedRanges.reduce(0) { $0 + $1.count }
    for block in Self.blocks(packed, 0..<count, [], among: ranks.count) { try begin(block) }
    try ranks.wait { () throws(DiffError) in
      try advance()
      return exchanges.isEmpty && gathers.isEmpty
    }
    var next = 0
    for range in packedRanges {
      gradients.values.copy(packed, next..<next + range.count, to: range.lowerBound)
      next += range.count
    }
    begun = 0
  }

  /// Makes the gradients zero at positions in rows of tables that this rank has not touched, which
  /// `Gradients.clear` leaves.
  func clear() {
    for range in packedRanges { gradients.values.clear(range) }
  }

  private func attempt(_ body: () throws(DiffError) -> Void) {
    guard failure == nil else { return }
    do throws(DiffError) { try body() } catch { failure = error }
  }

  private func begin(_ block: GradientBlock) throws(DiffError) {
    begun += 1
    let travelling = TravellingBlock(block, ranks.precision, rank: ranks.rank) { count in
      let index = spare.firstIndex { $0.count >= count }
      return index.map { spare.remove(at: $0) } ?? FloatBuffer(count: count)
    }
    let transfer = try ranks.exchange(travelling.words, travelling.parts, into: travelling.received)
    if let transfer { exchanges.append((travelling, transfer)) }
  }

  /// Advances the transfers, each kind in its order.
  private func advance() throws(DiffError) {
    while let first = exchanges.first, try first.transfer.isOver() {
      exchanges.removeFirst()
      first.block.add(rank: ranks.rank)
      spare.append(first.block.received)
      let transfer = try ranks.gatherSums(first.block.words, first.block.parts)
      if let transfer { gathers.append((first.block, transfer)) }
    }
    while let first = gathers.first, try first.transfer.isOver() {
      gathers.removeFirst()
      first.block.arrive()
      if first.block.words !== first.block.block.buffer { spare.append(first.block.words) }
    }
  }

  /// Copies positions and rows of tables into one buffer; returns their ranges.
  private func pack() throws(DiffError) -> [Range<Int>] {
    var packedRanges = packedRanges
    if case .parameters(let indices) = selection {
      let tables = indices.filter { gradients.layout.parameters[$0].isTable }
      if tables.isEmpty { return [] }
      try touch(tables)
      packedRanges = tables.flatMap { gradients.ranges(of: $0) }
    }
    let count = packedRanges.reduce(0) { $0 + $1.count }
    if packed.count < count { packed = FloatBuffer(count: count * 5 / 4) }
    var next = 0
    for range in packedRanges {
      packed.copy(gradients.values, range, to: next)
      next += range.count
    }
    return packedRanges
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
