import Kernels
import TensorCore

extension Tape {
  /// Returns `f(x Wᵀ + b)`.
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
    let layer = Linear(x, weight: weight, bias: bias, activation: activation, on: self)
    calculate([layer])
    return layer.result
  }

  /// Returns `x Wᵀ + b` of several independent layers; threads are synchronized once for all.
  func linears(
    _ layers: [(x: Variable, weight: ParameterLayout.Parameter, bias: ParameterLayout.Parameter)]
  ) -> [Variable] {
    let layers = layers.map {
      Linear($0.x, weight: $0.weight, bias: $0.bias, activation: nil, on: self)
    }
    calculate(layers)
    return layers.map(\.result)
  }

  private func calculate(_ layers: [Linear]) {
    let forward = layers.map { LinearProduct($0, on: self) }
    engine.parallel(engine.threads) { [products = engine.products] thread in
      for product in forward { product.run(thread, products[thread]) }
    }
    for layer in layers { record(layer) }
  }
}

/// The product of a layer in the forward pass, divided among threads.
private struct LinearProduct: Sendable {
  let input, weights, result: FloatMatrix  // [rows, in], [out, in], [rows, out]
  let shift: FloatMatrix?  // [1, out]
  let activation: Activation?
  let slope: FloatMatrix?  // [rows, out]
  /// The input as bf16, which is multiplied instead of it; nil for a product in float32.
  let half: HalfMatrix?
  /// The key under which packed weights are kept; nil if they may change.
  let key: Int?
  let isPacked: Bool
  /// The rows of the input, and the rows of W, of each thread.
  let rows, outputs: [Range<Int>]

  init(_ layer: Linear, on tape: Tape) {
    input = tape.value(of: layer.input)
    weights = tape.matrix(layer.weight)
    result = tape.value(of: layer.result)
    shift = layer.bias.map(tape.matrix)
    activation = layer.activation
    slope = layer.slope
    isPacked = layer.isLarge
    half = isPacked && tape.engine.precision == .bf16 ? tape.half(of: layer.input) : nil
    key = tape.engine.isFixed(tape.parameters) ? layer.weight.index : nil
    rows = tape.engine.shares(of: input.rows, grain: 1)
    outputs = tape.engine.shares(of: weights.rows, grain: 64)
  }

  func run(_ thread: Int, _ products: Products) {
    guard isPacked else {
      let rows = rows[thread]
      OneDNN.multiply(input.rows(rows), weights, transposed: .second, into: result.rows(rows))
      return finish(rows, 0..<weights.rows)
    }
    // Split by rows of W, so that no two threads pack the same weights.
    let outputs = outputs[thread]
    if outputs.isEmpty { return }
    let packed = products.pack(
      weights.rows(outputs), isTransposed: true, for: result, asHalf: half != nil, keptAs: key)
    let part = result.columns(outputs)
    if let half {
      products.multiply(half.rows(0..<input.rows), packed, into: part) { finish($0, outputs) }
    } else {
      products.multiply(input, packed, into: part) { finish($0, outputs) }
    }
  }

  private func finish(_ rows: Range<Int>, _ outputs: Range<Int>) {
    let part = result.rows(rows).columns(outputs)
    if let shift { Kernels.addRow(shift.columns(outputs), to: part) }
    if let activation {
      Kernels.activate(part, activation, into: part, slope: slope?.rows(rows).columns(outputs))
    }
  }
}

private struct Linear: Operation {
  let input: Tape.Variable
  let weight: ParameterLayout.Parameter
  let bias: ParameterLayout.Parameter?
  let activation: Activation?
  /// f′, [rows, out].
  let slope: FloatMatrix?
  let result: Tape.Variable

  /// Creates the operation and takes memory for its result.
  init(
    _ input: Tape.Variable, weight: ParameterLayout.Parameter,
    bias: ParameterLayout.Parameter?, activation: Activation?, on tape: Tape
  ) {
    self.input = input
    self.weight = weight
    self.bias = bias
    self.activation = activation
    let outputs = tape.matrix(weight).rows
    result = tape.variable(
      rows: input.rows, columns: outputs, of: [input], [weight] + (bias.map { [$0] } ?? []))
    slope =
      tape.isRecording && activation != nil
      ? tape.engine.arena.take(rows: input.rows, columns: outputs) : nil
  }

  /// True if the product is so large that packing its weights and calculating in bf16 pay off.
  var isLarge: Bool { input.rows >= 32 && weight.range.count >= 1 << 14 }

  var output: Tape.Variable? { result }
  var saved: [FloatMatrix] { slope.map { [$0] } ?? [] }

  func pullBack(on tape: Tape) {
    let gradient = tape.gradient(of: result)  // [rows, out]
    if let slope {
      tape.engine.split(gradient.rows) { rows in
        Kernels.multiply(gradient.rows(rows), by: slope.rows(rows))
      }
    }
    let dx = tape.gradientToAdd(of: input)  // [rows, in]
    if tape.engine.precision == .bf16 && isLarge {
      pullBackHalf(on: tape, gradient, dx)
    } else {
      pullBack(on: tape, gradient, dx)
    }
  }

  private func pullBack(
    on tape: Tape, _ gradient: FloatMatrix, _ dx: (matrix: FloatMatrix, adding: Bool)?
  ) {
    let x = tape.value(of: input)  // [rows, in]
    let weights = tape.matrix(weight)  // [out, in]
    let dWeights = tape.gradientMatrix(weight)  // [out, in]
    let dBias = bias.flatMap(tape.gradientMatrix)  // [1, out]
    // dx is split by rows of the batch, dW by rows of W: no thread waits for another.
    tape.engine.split(gradient.rows, gradient.columns, grain: 16) { rows, outputs in
      if let dx {
        OneDNN.multiply(
          gradient.rows(rows), weights, adding: dx.adding, into: dx.matrix.rows(rows))
      }
      let part = gradient.columns(outputs)
      if let dWeights {
        OneDNN.multiply(part, x, transposed: .first, adding: true, into: dWeights.rows(outputs))
      }
      if let dBias { Kernels.addColumns(of: part, to: dBias.columns(outputs)) }
    }
  }

  /// Does the same with factors in bf16.
  private func pullBackHalf(
    on tape: Tape, _ gradient: FloatMatrix, _ dx: (matrix: FloatMatrix, adding: Bool)?
  ) {
    let engine = tape.engine
    let x = tape.half(of: input)  // [rows + zeros, in]
    let half = engine.half(of: gradient)  // [rows + zeros, out]
    let weights = tape.matrix(weight)  // [out, in]
    let dWeights = tape.gradientMatrix(weight)  // [out, in]
    let dBias = bias.flatMap(tape.gradientMatrix)  // [1, out]
    // dx is split by columns of W, dW by rows: no two threads pack the same weights.
    let inputShares = engine.shares(of: weights.columns, grain: 64)
    let outputShares = engine.shares(of: weights.rows, grain: 16)
    engine.parallel(engine.threads) { [all = engine.products] thread in
      let (products, inputs, outputs) = (all[thread], inputShares[thread], outputShares[thread])
      if let dx, !inputs.isEmpty {
        let packed = products.pack(
          weights.columns(inputs), isTransposed: false, for: dx.matrix, asHalf: true)
        products.multiply(
          half.rows(0..<gradient.rows), packed, adding: dx.adding,
          into: dx.matrix.columns(inputs))
      }
      if outputs.isEmpty { return }
      if let dWeights {
        products.add(transposed: half.columns(outputs), x, to: dWeights.rows(outputs))
      }
      if let dBias {
        Kernels.addColumns(of: gradient.columns(outputs), to: dBias.columns(outputs))
      }
    }
    engine.arena.giveBack(half.memory)
  }
}
