import Kernels

extension Tape {
  /// Returns softmax attention (Vaswani et al. 2017) within each of several concatenated
  /// sequences, without padding. The weights, whose number grows with the square of the length,
  /// are not kept: the backward pass calculates them again.
  ///
  /// - Parameters:
  ///   - queries: [rows, width]; all tokens, or one of each sequence.
  ///   - keys: [tokens, width]; not the variable of the queries.
  ///   - values: [tokens, width]; not the variable of the queries or of the keys.
  ///   - queryOffsets: The first query of each sequence, and the end of the last sequence.
  ///   - offsets: The first token of each sequence, and the end of the last sequence.
  ///   - heads: The number of heads; the width is divided among them.
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
    let attention = Attention(
      queries: value(of: queries), keys: value(of: keys), values: value(of: values),
      queryOffsets: queryOffsets, offsets: offsets, heads: heads,
      mask: nextMask(rate: dropout, queries: queries, heads: heads))
    let result = value(of: output)  // [rows, width]
    let shares = attention.shares(for: engine)
    let scratch = shares.map { _ in attention.takeScratch(engine) }
    engine.parallel(shares.count) { part in
      for head in shares[part] {
        let p = attention.weights(head, in: scratch[part])
        Kernels.dropout(p, attention.mask, first: head.first, into: p)
        OneDNN.multiply(
          p, attention.values.rows(head.keys).columns(head.columns),
          into: result.rows(head.queries).columns(head.columns))
      }
    }
    for matrix in scratch { engine.arena.giveBack(matrix) }
    record(
      Attend(queries: queries, keys: keys, values: values, attention: attention, result: output))
    return output
  }
}

private struct Attend: Operation {
  let queries, keys, values: Tape.Variable
  let attention: Attention
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    let (engine, attention) = (tape.engine, attention)
    let gradient = tape.gradient(of: result)  // [rows, width]
    let dQueries = tape.gradientToAdd(of: queries)
    let dKeys = tape.gradientToAdd(of: keys)
    let dValues = tape.gradientToAdd(of: values)
    let shares = attention.shares(for: engine)
    let scratch = shares.map { _ in (0..<3).map { _ in attention.takeScratch(engine) } }
    engine.parallel(shares.count) { part in
      for head in shares[part] {
        let (columns, queries, keys) = (head.columns, head.queries, head.keys)
        let p = attention.weights(head, in: scratch[part][0])  // [queries, keys]
        let d = head.matrix(in: scratch[part][1])  // [queries, keys]
        let output = gradient.rows(queries).columns(columns)
        let dropped = attention.mask.rate == 0 ? p : head.matrix(in: scratch[part][2])
        if attention.mask.rate > 0 {
          Kernels.dropout(p, attention.mask, first: head.first, into: dropped)
        }
        if let dValues {
          OneDNN.multiply(
            dropped, output, transposed: .first, adding: dValues.adding,
            into: dValues.matrix.rows(keys).columns(columns))
        }
        OneDNN.multiply(
          output, attention.values.rows(keys).columns(columns), transposed: .second, into: d)
        Kernels.dropout(d, attention.mask, first: head.first, into: d)
        Kernels.softmaxSlope(of: p, d, factor: attention.factor)
        if let dQueries {
          OneDNN.multiply(
            d, attention.keys.rows(keys).columns(columns), adding: dQueries.adding,
            into: dQueries.matrix.rows(queries).columns(columns))
        }
        if let dKeys {
          OneDNN.multiply(
            d, attention.queries.rows(queries).columns(columns), transposed: .first,
            adding: dKeys.adding, into: dKeys.matrix.rows(keys).columns(columns))
        }
      }
    }
    for matrix in scratch.flatMap(\.self) { engine.arena.giveBack(matrix) }
  }
}

/// The inputs of attention and its division into the heads of sequences, for both directions.
private struct Attention: Sendable {
  let queries, keys, values: FloatMatrix
  let queryOffsets, offsets: [Int]
  let heads: Int
  let mask: DropoutMask
  /// The index of the first weight of each sequence, and the number of all weights.
  private let starts: [Int]

  /// One head of one sequence.
  struct SequenceHead {
    let queries, keys, columns: Range<Int>
    /// The index of its first weight among all.
    let first: Int

    /// Returns scratch memory as a matrix of its size: [queries, keys].
    func matrix(in scratch: FloatMatrix) -> FloatMatrix {
      FloatMatrix(scratch.buffer, at: scratch.offset, rows: queries.count, columns: keys.count)
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

  /// The factor of the scores: 1 / √(width of a head).
  var factor: Float { 1 / Float(width).squareRoot() }

  private var width: Int { queries.columns / heads }

  /// Returns the heads of each thread, ordered by head before sequence, so that a thread has
  /// heads of all sequences.
  func shares(for engine: Engine) -> [[SequenceHead]] {
    let sequences = offsets.count - 1
    let all = sequences * heads
    let parts = min(engine.threads, all)
    return (0..<parts).map { part in
      (all * part / parts..<all * (part + 1) / parts).map { index in
        let (head, sequence) = index.quotientAndRemainder(dividingBy: sequences)
        let size = (starts[sequence + 1] - starts[sequence]) / heads
        return SequenceHead(
          queries: queryOffsets[sequence]..<queryOffsets[sequence + 1],
          keys: offsets[sequence]..<offsets[sequence + 1],
          columns: head * width..<(head + 1) * width, first: starts[sequence] + head * size)
      }
    }
  }

  /// Returns the softmax of the scores of a head: [queries, keys].
  func weights(_ head: SequenceHead, in scratch: FloatMatrix) -> FloatMatrix {
    let p = head.matrix(in: scratch)
    OneDNN.multiply(
      queries.rows(head.queries).columns(head.columns),
      keys.rows(head.keys).columns(head.columns), transposed: .second, factor: factor,
      into: p)
    Kernels.softmax(p)
    return p
  }

  /// Takes memory for the weights of the largest head.
  func takeScratch(_ engine: Engine) -> FloatMatrix {
    let largest = starts.indices.dropLast().map { (starts[$0 + 1] - starts[$0]) / heads }.max()
    return engine.arena.take(rows: 1, columns: largest ?? 0)
  }
}
