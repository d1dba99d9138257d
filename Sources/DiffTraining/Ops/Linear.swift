#if Training
  import TensorCore

  extension Tape {
    /// `f(x Wᵀ + b)`.
    ///
    /// - Parameters:
    ///   - x: [rows, in].
    ///   - weight: [out, in].
    ///   - bias: [out].
    ///   - activation: f, element by element.
    /// - Returns: [rows, out].
    public func linear(
      _ x: Variable, _ weight: ParameterLayout.Parameter, bias: ParameterLayout.Parameter? = nil,
      activation: Activation? = nil
    ) -> Variable {
      let input = value(of: x)  // [rows, in]
      let weights = matrix(weight)  // [out, in]
      let shift = bias.map(matrix)  // [1, out]
      let output = variable(rows: x.rows, columns: weights.rows)
      let result = value(of: output)  // [rows, out]
      let slope =
        isRecording && activation != nil
        ? engine.arena.take(rows: x.rows, columns: weights.rows) : nil  // [rows, out]
      engine.split(x.rows) { rows in
        let part = result.rows(rows)
        OneDNN.multiply(input.rows(rows), weights, transposed: .second, into: part)
        if let shift { Kernels.addRow(shift, to: part) }
        if let activation {
          Kernels.activate(part, activation, into: part, slope: slope?.rows(rows))
        }
      }
      record(Linear(input: x, weight: weight, bias: bias, slope: slope, result: output))
      return output
    }
  }

  private struct Linear: Operation {
    let input: Tape.Variable
    let weight: ParameterLayout.Parameter
    let bias: ParameterLayout.Parameter?
    /// f′, [rows, out].
    let slope: FloatMatrix?
    let result: Tape.Variable

    var output: Tape.Variable? { result }
    var saved: [FloatMatrix] { slope.map { [$0] } ?? [] }

    func pullBack(on tape: Tape) {
      let gradient = tape.gradient(of: result)  // [rows, out]
      if let slope {
        tape.engine.split(gradient.rows) { rows in
          Kernels.multiply(gradient.rows(rows), by: slope.rows(rows))
        }
      }
      let x = tape.value(of: input)  // [rows, in]
      let weights = tape.matrix(weight)  // [out, in]
      let dx = tape.gradientToAdd(of: input)  // [rows, in]
      let dWeights = tape.gradientMatrix(weight)  // [out, in]
      let dBias = bias.map(tape.gradientMatrix)  // [1, out]
      // dx by rows of the batch, dW by rows of W: no thread waits for another.
      tape.engine.split(gradient.rows, gradient.columns, grain: 16) { rows, outputs in
        if let dx {
          OneDNN.multiply(
            gradient.rows(rows), weights, adding: dx.adding, into: dx.matrix.rows(rows))
        }
        let part = gradient.columns(outputs)
        OneDNN.multiply(part, x, transposed: .first, adding: true, into: dWeights.rows(outputs))
        if let dBias { Kernels.addColumns(of: part, to: dBias.columns(outputs)) }
      }
    }
  }
#endif
