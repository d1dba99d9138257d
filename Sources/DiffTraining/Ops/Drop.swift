import Kernels

extension Tape {
  /// Applies dropout (Srivastava et al. 2014): sets a share of the elements to zero and scales the
  /// others so that the expectation stays. The choice is a function of the tape's `Dropout`, the
  /// number of dropouts before and the index in x, independent of threads.
  ///
  /// - Returns: [rows, columns]; x itself if nothing is dropped.
  public func drop(_ x: Variable, rate: Float) -> Variable {
    let mask = nextMask(rate: rate, of: x)
    if mask.rate == 0 { return x }
    let input = value(of: x)
    let output = variable(rows: x.rows, columns: x.columns, of: [x])
    let result = value(of: output)
    engine.split(x.rows) { rows in
      Kernels.dropout(
        input.rows(rows), mask, first: rows.lowerBound * input.columns, into: result.rows(rows))
    }
    record(Drop(input: x, mask: mask, result: output))
    return output
  }
}

private struct Drop: Operation {
  let input: Tape.Variable
  let mask: DropoutMask
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    guard let dx = tape.gradientToAdd(of: input) else { return }
    let mask = mask
    let gradient = tape.gradient(of: result)
    tape.engine.split(gradient.rows) { rows in
      let part = dx.matrix.rows(rows)
      Kernels.dropout(
        gradient.rows(rows), mask, first: rows.lowerBound * gradient.columns,
        base: dx.adding ? part : nil, into: part)
    }
  }
}
