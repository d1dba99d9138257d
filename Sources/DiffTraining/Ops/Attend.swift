import Kernels

extension Tape {
  /// Softmax attention (Vaswani et al. 2017) inside each of several sequences that lie one after
  /// the other, without padding. The weights, whose number grows with the square of the length,
  /// are not kept: the way back calculates them again.
  ///
  /// - Parameters:
  ///   - queries: [rows, width]; all tokens, or one of each sequence.
  ///   - keys, values: [tokens, width]; not the same variable, nor that of the queries.
  ///   - queryOffsets: Where sequences begin among the queries, and the end of the last.
  ///   - offsets: The same among the tokens.
  ///   - heads: How many pieces the width is cut into, each attending for itself.
  ///   - dropout: The share of the weights that is set to zero.
  /// - Returns: [rows, width].
  public func attend(
    queries: Variable, keys: Variable, values: Variable, queryOffsets: [Int], offsets: [Int],
    heads: Int, dropout: Float = 0
  ) -> Variable {
    precondition(queryOffsets.count == offsets.count && queries.columns % heads == 0)
    precondition(queries != keys && queries != values && keys != values)
    let output = variable(
      rows: queries.rows, columns: queries.columns, of: [queries, keys, values])
    let work = Attention(
      queries: value(of: queries), keys: value(of: keys), values: value(of: values),
      queryOffsets: queryOffsets, offsets: offsets, heads: heads,
      mask: nextMask(rate: dropout, queries: queries, heads: heads))
    let result = value(of: output)  // [rows, width]
    let pieces = work.pieces(engine)
    let rooms = pieces.map { _ in work.takeRoom(engine) }
    engine.parallel(pieces.count) { part in
      for piece in pieces[part] {
        let p = work.weights(piece, in: rooms[part])
        Kernels.dropout(p, work.mask, first: piece.first, into: p)
        OneDNN.multiply(
          p, work.values.rows(piece.keys).columns(piece.columns),
          into: result.rows(piece.queries).columns(piece.columns))
      }
    }
    for block in rooms { engine.arena.giveBack(block) }
    record(
      Attend(queries: queries, keys: keys, values: values, work: work, result: output))
    return output
  }
}

private struct Attend: Operation {
  let queries, keys, values: Tape.Variable
  let work: Attention
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    let (engine, work) = (tape.engine, work)
    let gradient = tape.gradient(of: result)  // [rows, width]
    let dQueries = tape.gradientToAdd(of: queries)
    let dKeys = tape.gradientToAdd(of: keys)
    let dValues = tape.gradientToAdd(of: values)
    let pieces = work.pieces(engine)
    let rooms = pieces.map { _ in (0..<3).map { _ in work.takeRoom(engine) } }
    engine.parallel(pieces.count) { part in
      for piece in pieces[part] {
        let (columns, queries, keys) = (piece.columns, piece.queries, piece.keys)
        let p = work.weights(piece, in: rooms[part][0])  // [queries, keys]
        let d = piece.matrix(in: rooms[part][1])  // [queries, keys]
        let output = gradient.rows(queries).columns(columns)
        let dropped = work.mask.rate == 0 ? p : piece.matrix(in: rooms[part][2])
        if work.mask.rate > 0 {
          Kernels.dropout(p, work.mask, first: piece.first, into: dropped)
        }
        if let dValues {
          OneDNN.multiply(
            dropped, output, transposed: .first, adding: dValues.adding,
            into: dValues.matrix.rows(keys).columns(columns))
        }
        OneDNN.multiply(
          output, work.values.rows(keys).columns(columns), transposed: .second, into: d)
        Kernels.dropout(d, work.mask, first: piece.first, into: d)
        Kernels.softmaxSlope(of: p, d, factor: work.factor)
        if let dQueries {
          OneDNN.multiply(
            d, work.keys.rows(keys).columns(columns), adding: dQueries.adding,
            into: dQueries.matrix.rows(queries).columns(columns))
        }
        if let dKeys {
          OneDNN.multiply(
            d, work.queries.rows(queries).columns(columns), transposed: .first,
            adding: dKeys.adding, into: dKeys.matrix.rows(keys).columns(columns))
        }
      }
    }
    for block in rooms.flatMap(\.self) { engine.arena.giveBack(block) }
  }
}

/// What attention in both directions goes through: one head of one sequence after the other.
private struct Attention: Sendable {
  let queries, keys, values: FloatMatrix
  let queryOffsets, offsets: [Int]
  let heads: Int
  let mask: DropoutMask
  /// The number of the first weight of a sequence's first head, and of all.
  private let starts: [Int]

  /// A head of a sequence.
  struct Piece {
    let queries, keys, columns: Range<Int>
    /// The number of its first weight among all.
    let first: Int

    /// Its part of the room for one: [queries, keys].
    func matrix(in room: FloatMatrix) -> FloatMatrix {
      FloatMatrix(room.buffer, at: room.offset, rows: queries.count, columns: keys.count)
    }
  }

  init(
    queries: FloatMatrix, keys: FloatMatrix, values: FloatMatrix, queryOffsets: [Int],
    offsets: [Int], heads: Int, mask: DropoutMask
  ) {
    self.queries = queries
    self.keys = keys
    self.values = values
    self.queryOffsets = queryOffsets
    self.offsets = offsets
    self.heads = heads
    self.mask = mask
    var starts = [0]
    for sequence in offsets.indices.dropLast() {
      let count = queryOffsets[sequence + 1] - queryOffsets[sequence]
      starts.append(
        starts[sequence] + heads * count * (offsets[sequence + 1] - offsets[sequence]))
    }
    self.starts = starts
  }

  /// What scores are multiplied with: one by the root of a head's width.
  var factor: Float { 1 / Float(width).squareRoot() }

  private var width: Int { queries.columns / heads }

  /// The pieces of each thread. Heads come first, so that every thread has of all sequences.
  func pieces(_ engine: Engine) -> [[Piece]] {
    let sequences = offsets.count - 1
    let all = sequences * heads
    let parts = min(engine.threads, all)
    return (0..<parts).map { part in
      (all * part / parts..<all * (part + 1) / parts).map { number in
        let (head, sequence) = number.quotientAndRemainder(dividingBy: sequences)
        let size = (starts[sequence + 1] - starts[sequence]) / heads
        return Piece(
          queries: queryOffsets[sequence]..<queryOffsets[sequence + 1],
          keys: offsets[sequence]..<offsets[sequence + 1],
          columns: head * width..<(head + 1) * width, first: starts[sequence] + head * size)
      }
    }
  }

  /// Softmax of the scores of a piece: [queries, keys].
  func weights(_ piece: Piece, in room: FloatMatrix) -> FloatMatrix {
    let p = piece.matrix(in: room)
    OneDNN.multiply(
      queries.rows(piece.queries).columns(piece.columns),
      keys.rows(piece.keys).columns(piece.columns), transposed: .second, factor: factor,
      into: p)
    Kernels.softmax(p)
    return p
  }

  /// Room for the weights of the largest piece.
  func takeRoom(_ engine: Engine) -> FloatMatrix {
    let largest = starts.indices.dropLast().map { (starts[$0 + 1] - starts[$0]) / heads }.max()
    return engine.arena.take(rows: 1, columns: largest ?? 0)
  }
}
