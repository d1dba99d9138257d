import Kernels

extension Tape {
  /// Returns `f(x)`, element by element: [rows, columns].
  public func activate(_ x: Variable, _ activation: Activation) -> Variable {
    let input = value(of: x)
    let output = variable(rows: x.rows, columns: x.columns, of: [x])
    let result = value(of: output)
    let slope = isRecording ? engine.arena.take(rows: x.rows, columns: x.columns) : nil
    engine.split(x.rows) { rows in
      Kernels.activate(
        input.rows(rows), activation, into: result.rows(rows), slope: slope?.rows(rows))
    }
    record(Activate(input: x, slope: slope, result: output))
    return output
  }
}

private struct Activate: Operation {
  let input: Tape.Variable
  /// f′(x), [rows, columns].
  let slope: FloatMatrix?
  let result: Tape.Variable

  var output: Tape.Variable? { result }
  var saved: [FloatMatrix] { slope.map { [$0] } ?? [] }

  func pullBack(on tape: Tape) {
    guard let slope, let dx = tape.gradientToAdd(of: input) else { return }
    let gradient = tape.gradient(of: result)
    tape.engine.split(gradient.rows) { rows in
      let part = gradient.rows(rows)
      Kernels.multiply(part, by: slope.rows(rows))
      Kernels.put(part, into: dx.matrix.rows(rows), adding: dx.adding)
    }
  }
}
