import Kernels

extension Tape {
  /// Returns the layer normalization (Ba, Kiros, Hinton 2016) of `dropout(x) + residual`, row by
  /// row.
  ///
  /// - Parameters:
  ///   - x: [rows, width].
  ///   - residual: Added before the normalization, [rows, width].
  ///   - dropout: The share of x that is set to zero.
  ///   - gain: The factor of each column after the normalization, [width].
  ///   - shift: Added to each column after that, [width].
  ///   - epsilon: Added to the variance.
  /// - Returns: [rows, width].
  public func normalize(
    _ x: Variable, plus residual: Variable? = nil, dropout: Float = 0,
    gain: ParameterLayout.Parameter, shift: ParameterLayout.Parameter, epsilon: Float
  ) -> Variable {
    let input = value(of: x)  // [rows, width]
    let base = residual.map(value)  // [rows, width]
    let (gains, shifts) = (matrix(gain), matrix(shift))  // [1, width]
    let mask = nextMask(rate: dropout, of: x)
    let output = variable(
      rows: x.rows, columns: x.columns, of: [x] + (residual.map { [$0] } ?? []), [gain, shift])
    let result = value(of: output)  // [rows, width]
    let normalized = engine.arena.take(rows: x.rows, columns: x.columns)
    let scales = engine.arena.take(rows: x.rows, columns: 1)
    engine.split(x.rows) { rows in
      let part = normalized.rows(rows)
      Kernels.dropout(
        input.rows(rows), mask, first: rows.lowerBound * input.columns, base: base?.rows(rows),
        into: part)
      Kernels.normalize(
        part, gain: gains, shift: shifts, epsilon: epsilon, into: result.rows(rows),
        scales: scales.rows(rows))
    }
    record(
      Normalize(
        input: x, residual: residual, mask: mask, gain: gain, shift: shift,
        normalized: normalized, scales: scales, result: output))
    return output
  }
}

private struct Normalize: Operation {
  let input: Tape.Variable
  let residual: Tape.Variable?
  let mask: DropoutMask
  let gain, shift: ParameterLayout.Parameter
  /// The rows before gain and shift, [rows, width].
  let normalized: FloatMatrix
  /// 1 / deviation, [rows, 1].
  let scales: FloatMatrix
  let result: Tape.Variable

  var output: Tape.Variable? { result }
  var saved: [FloatMatrix] { [normalized, scales] }

  func pullBack(on tape: Tape) {
    let (engine, mask, normalized, scales) = (tape.engine, mask, normalized, scales)
    let gradient = tape.gradient(of: result)  // [rows, width]
    let width = gradient.columns
    let gains = tape.matrix(gain)  // [1, width]
    // Each thread sums the gradients of gain and shift over its rows: [threads, 2 · width].
    let sums = engine.arena.take(rows: engine.threads, columns: 2 * width)
    sums.clear()
    // The gradient with respect to dropout(x) + residual, [rows, width].
    let sum = engine.arena.take(rows: gradient.rows, columns: width)
    let dx = tape.gradientToAdd(of: input)
    let dResidual = residual.flatMap(tape.gradientToAdd)
    let threads = engine.threads
    engine.parallel(threads) { part in
      let rows = gradient.rows * part / threads..<gradient.rows * (part + 1) / threads
      let own = sums.rows(part..<part + 1)
      let d = sum.rows(rows)
      Kernels.normalizeSlope(
        gradient.rows(rows), normalized: normalized.rows(rows), scales: scales.rows(rows),
        gain: gains, into: d, adding: false, gainGradient: own.columns(0..<width),
        shiftGradient: own.columns(width..<2 * width))
      if let dx {
        let part = dx.matrix.rows(rows)
        Kernels.dropout(
          d, mask, first: rows.lowerBound * width, base: dx.adding ? part : nil, into: part)
      }
      if let dResidual {
        Kernels.put(d, into: dResidual.matrix.rows(rows), adding: dResidual.adding)
      }
    }
    for part in 0..<threads {
      let own = sums.rows(part..<part + 1)
      if let dGain = tape.gradientMatrix(gain) { Kernels.add(own.columns(0..<width), to: dGain) }
      if let dShift = tape.gradientMatrix(shift) {
        Kernels.add(own.columns(width..<2 * width), to: dShift)
      }
    }
    engine.arena.giveBack(sum)
    engine.arena.giveBack(sums)
  }
}
