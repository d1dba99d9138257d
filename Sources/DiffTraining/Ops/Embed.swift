import Kernels

extension Tape {
  /// Returns the sum of one row of each of several tables, for every token.
  ///
  /// - Parameter lookups: Tables [rows, width] and for each token the index of a row, which the
  ///   caller has checked.
  /// - Returns: [tokens, width].
  public func embed(
    _ lookups: [(table: ParameterLayout.Parameter, rows: [Int32])]
  ) -> Variable {
    let tables = lookups.map { (matrix($0.table), $0.rows) }
    guard let (first, ids) = tables.first else { preconditionFailure("no table") }
    precondition(tables.allSatisfy { $0.1.count == ids.count && $0.0.columns == first.columns })
    let output = variable(
      rows: ids.count, columns: first.columns, unit: .token, of: [], lookups.map(\.table))
    let result = value(of: output)  // [tokens, width]
    engine.split(ids.count) { tokens in
      for token in tokens {
        let row = result.rows(token..<token + 1)
        for (index, (table, ids)) in tables.enumerated() {
          let id = Int(ids[token])
          Kernels.put(table.rows(id..<id + 1), into: row, adding: index > 0)
        }
      }
    }
    record(Embed(lookups: lookups, result: output))
    return output
  }
}

private struct Embed: Operation {
  let lookups: [(table: ParameterLayout.Parameter, rows: [Int32])]
  let result: Tape.Variable

  var output: Tape.Variable? { result }

  func pullBack(on tape: Tape) {
    let gradient = tape.gradient(of: result)  // [tokens, width]
    for (table, ids) in lookups {
      guard let dTable = tape.gradientMatrix(table) else { continue }  // [rows, width]
      for id in ids { tape.gradients?.touch(row: Int(id), of: table.index) }
      // Split by columns, since several tokens may have the same row.
      tape.engine.split(gradient.columns, grain: 16) { columns in
        for (token, id) in ids.enumerated() {
          let row = Int(id)
          Kernels.add(
            gradient.rows(token..<token + 1).columns(columns),
            to: dTable.rows(row..<row + 1).columns(columns))
        }
      }
    }
  }
}
