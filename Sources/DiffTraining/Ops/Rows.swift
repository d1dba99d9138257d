import Kernels

extension Tape {
  /// Returns some rows of x, one of each example: [chosen, columns].
  ///
  /// - Parameters:
  ///   - chosen: Indices of rows, ascending, each at most once.
  ///   - x: [rows, columns].
  public func rows(_ chosen: [Int], of x: Variable) -> Variable {
    let input = value(of: x)
    let output = variable(rows: chosen.count, columns: x.columns, unit: .example, of: [x])
    let result = value(of: output)
    for (to, from) in chosen.enumerated() {
      Kernels.put(
        input.rows(from..<from + 1), into: result.rows(to..<to + 1), adding: false)
    }
    record(Rows(input: x, chosen: chosen, result: output))
    return output
  }
}

private struct Rows: Operation {
  let input: Tape.Variable
  let chosen: [Int]
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    guard let dx = tape.gradientToAdd(of: input) else { return }
    let gradient = tape.gradient(of: result)
    if !dx.adding { dx.matrix.clear() }
    for (from, to) in chosen.enumerated() {
      Kernels.add(gradient.rows(from..<from + 1), to: dx.matrix.rows(to..<to + 1))
    }
  }
}
