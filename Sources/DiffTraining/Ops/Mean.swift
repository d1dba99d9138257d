import Kernels

extension Tape {
  /// Returns the mean of the rows of each sequence.
  ///
  /// - Parameters:
  ///   - x: [tokens, width].
  ///   - offsets: The first row of each sequence, and the end of the last; none is empty.
  /// - Returns: [sequences, width].
  public func mean(_ x: Variable, offsets: [Int]) -> Variable {
    let input = value(of: x)
    let output = variable(rows: offsets.count - 1, columns: x.columns, unit: .example, of: [x])
    let result = value(of: output)
    result.clear()
    engine.split(offsets.count - 1) { sequences in
      for sequence in sequences {
        let tokens = offsets[sequence]..<offsets[sequence + 1]
        let row = result.rows(sequence..<sequence + 1)
        Kernels.addColumns(of: input.rows(tokens), to: row)
        Kernels.scale(row, by: 1 / Float(tokens.count))
      }
    }
    record(Mean(input: x, offsets: offsets, result: output))
    return output
  }
}

private struct Mean: Operation {
  let input: Tape.Variable
  let offsets: [Int]
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    guard let dx = tape.gradientToAdd(of: input) else { return }
    let offsets = offsets
    let gradient = tape.gradient(of: result)  // [sequences, width]
    if !dx.adding { dx.matrix.clear() }
    tape.engine.split(offsets.count - 1) { sequences in
      for sequence in sequences {
        let tokens = offsets[sequence]..<offsets[sequence + 1]
        let row = gradient.rows(sequence..<sequence + 1)
        Kernels.scale(row, by: 1 / Float(tokens.count))
        Kernels.addRow(row, to: dx.matrix.rows(tokens))
      }
    }
  }
}
