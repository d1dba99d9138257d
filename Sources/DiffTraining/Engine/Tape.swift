import Kernels
import TensorCore

/// A record of the operations on one batch, from which gradients are calculated in reverse.
///
/// Operations (`Ops/`, one file each) calculate immediately and append themselves to a list;
/// `pullBack` visits the list once from its end (Wengert 1964). Parameters are not entries of the
/// tape: operations read them from one flat buffer and add their gradients to another.
public final class Tape {
  /// A matrix on the tape: the result of an operation, or a constant.
  public struct Variable: Sendable, Hashable {
    /// The number of rows and of columns.
    public let rows, columns: Int
    /// The unit that a row represents.
    public let unit: RowUnit
    let index: Int
  }

  /// The unit that each row of a matrix represents. Ranks that share a batch number rows, and so
  /// the elements that dropout sets to zero, as a single process does.
  public enum RowUnit: Sendable, Hashable {
    case example
    case token
  }

  private struct Entry {
    var value: FloatMatrix
    var gradient: FloatMatrix?
    /// The value as bf16, once it was requested.
    var half: HalfMatrix?
    /// True if it depends on a parameter whose gradient is required.
    let isVariable: Bool
    /// True if its memory is the arena's.
    let isOwned: Bool
    /// The parameters that were read for it, of those whose gradients are required.
    var parameters: [Int] = []
  }

  let engine: Engine
  let parameters: FloatBuffer
  let gradients: Gradients?
  private let dropout: Dropout?
  private var dropouts: UInt64 = 0
  /// The number of operations not pulled back yet that read each parameter.
  private var uses: [Int: Int] = [:]
  private var entries: [Entry] = []
  private var operations: [any Operation] = []
  /// The factor of all losses; set by `pullBack`.
  private(set) var scale: Float = 1

  /// Creates an empty tape. Of the tapes of one engine only the newest may be used.
  ///
  /// - Parameters:
  ///   - engine: The threads and memory.
  ///   - parameters: The flat buffer of values.
  ///   - gradients: The gradients to add to; nil to calculate outputs only, which takes less
  ///     memory.
  ///   - dropout: The source of dropout masks; nil for no dropout.
  public init(
    _ engine: Engine, parameters: FloatBuffer, gradients: Gradients? = nil,
    dropout: Dropout? = nil
  ) {
    self.engine = engine
    self.parameters = parameters
    self.gradients = gradients
    self.dropout = gradients == nil ? nil : dropout
    engine.arena.reset()
  }

  /// Returns a matrix with a row for each example as a variable without a gradient.
  public func constant(_ value: FloatMatrix) -> Variable {
    append(value, .example, isVariable: false, isOwned: false)
  }

  /// Returns numbers in row-major order, with a row for each example, as a variable without a
  /// gradient.
  public func constant(_ numbers: [Float], rows: Int, columns: Int) -> Variable {
    precondition(numbers.count == rows * columns)
    let value = engine.arena.take(rows: rows, columns: columns)
    for row in 0..<rows {
      for column in 0..<columns { value[row, column] = numbers[row * columns + column] }
    }
    return append(value, .example, isVariable: false, isOwned: true)
  }

  /// Returns the values of a variable, valid until the engine's next tape is created.
  public func value(of variable: Variable) -> FloatMatrix { entries[variable.index].value }

  /// Adds the gradients of `scale` times all losses on the tape to those of the parameters, and
  /// empties the tape.
  ///
  /// - Parameters:
  ///   - scale: The factor of the losses.
  ///   - completing: True if only this tape adds to the gradients of the batch; they are then sent
  ///     to other ranks as soon as the tape has completed them.
  public func pullBack(scale: Float, completing: Bool = false) {
    self.scale = scale
    while let operation = operations.popLast() {
      let output = operation.output.map { entries[$0.index] }
      // A result on which no loss depends has no gradient.
      if operation.output == nil || output?.gradient != nil {
        operation.pullBack(on: self)
      }
      for matrix in operation.saved { engine.arena.giveBack(matrix) }
      guard let output, let index = operation.output?.index else { continue }
      if completing { complete(output.parameters) }
      if output.isOwned { engine.arena.giveBack(output.value) }
      for matrix in [output.gradient, output.half?.memory] {
        if let matrix { engine.arena.giveBack(matrix) }
      }
      entries[index].gradient = nil
    }
    entries = []
  }

  /// Reports parameters to which no further operation will add.
  private func complete(_ parameters: [Int]) {
    guard let report = gradients?.onComplete else { return }
    for parameter in parameters {
      uses[parameter, default: 1] -= 1
      if uses[parameter] == 0 { report(parameter) }
    }
  }

  /// Releases the memory of all variables but one, unless gradients are required.
  func forget(allBut kept: Variable) {
    guard gradients == nil else { return }
    for index in entries.indices where index != kept.index && entries[index].isOwned {
      engine.arena.giveBack(entries[index].value)
      if let half = entries[index].half { engine.arena.giveBack(half.memory) }
      entries[index] = Entry(
        value: entries[kept.index].value, gradient: nil, isVariable: false, isOwned: false)
    }
  }
}

/// Primitives that operations are built from.
extension Tape {
  /// True if operations must keep what their gradients need.
  var isRecording: Bool { gradients != nil }

  /// Returns a new variable with undefined elements, which depends on these variables and
  /// parameters.
  ///
  /// - Parameter unit: The unit of its rows; nil for that of the first input.
  func variable(
    rows: Int, columns: Int, unit: RowUnit? = nil, of inputs: [Variable],
    _ parameters: [ParameterLayout.Parameter] = []
  ) -> Variable {
    let wanted = parameters.map(\.index).filter { gradients?.isWanted[$0] ?? false }
    let variable = append(
      engine.arena.take(rows: rows, columns: columns), unit ?? inputs.first?.unit ?? .example,
      isVariable: inputs.contains { entries[$0.index].isVariable } || !wanted.isEmpty,
      isOwned: true)
    entries[variable.index].parameters = wanted
    for parameter in wanted { uses[parameter, default: 0] += 1 }
    return variable
  }

  /// Returns the values of a variable as bf16, padded with rows of zeros; see `Engine.half`.
  func half(of variable: Variable) -> HalfMatrix {
    if let half = entries[variable.index].half { return half }
    let half = engine.half(of: value(of: variable))
    entries[variable.index].half = half
    return half
  }

  /// Appends an operation to the tape, if gradients are required.
  func record(_ operation: any Operation) {
    if isRecording {
      operations.append(operation)
    } else {
      for matrix in operation.saved { engine.arena.giveBack(matrix) }
    }
  }

  /// Returns the gradient with respect to the output of the operation that is being pulled back.
  func gradient(of output: Variable) -> FloatMatrix {
    guard let gradient = entries[output.index].gradient else {
      preconditionFailure("this output has no gradient")
    }
    return gradient
  }

  /// Returns the matrix for the gradient with respect to an input, and whether to add to it rather
  /// than set it, as the first does; nil if no gradient is required.
  func gradientToAdd(of input: Variable) -> (matrix: FloatMatrix, adding: Bool)? {
    guard entries[input.index].isVariable else { return nil }
    if let gradient = entries[input.index].gradient { return (gradient, true) }
    let gradient = engine.arena.take(rows: input.rows, columns: input.columns)
    entries[input.index].gradient = gradient
    return (gradient, false)
  }

  /// Returns a parameter as a matrix; a vector is one row.
  func matrix(_ parameter: ParameterLayout.Parameter) -> FloatMatrix {
    Self.matrix(parameter, in: parameters)
  }

  /// Returns the gradient of a parameter, to be added to; nil if it is not required.
  func gradientMatrix(_ parameter: ParameterLayout.Parameter) -> FloatMatrix? {
    guard let gradients, gradients.isWanted[parameter.index] else { return nil }
    return Self.matrix(parameter, in: gradients.values)
  }

  /// Returns the mask of the next dropout on this tape, of a variable.
  func nextMask(rate: Float, of x: Variable) -> DropoutMask {
    let before = dropout?.preceding ?? BatchExtent()
    let rows = x.unit == .example ? before.examples : before.tokens
    return nextMask(rate: rate, start: rows * x.columns)
  }

  /// Returns the mask of the next dropout on this tape, of attention's weights.
  ///
  /// - Parameter queries: A variable with a row for each query.
  func nextMask(rate: Float, queries: Variable, heads: Int) -> DropoutMask {
    let before = dropout?.preceding ?? BatchExtent()
    let weights = queries.unit == .example ? before.tokens : before.squares
    return nextMask(rate: rate, start: weights * heads)
  }

  private func nextMask(rate: Float, start: Int) -> DropoutMask {
    guard let dropout, rate > 0 else { return .none }
    dropouts += 1
    var random = SplitMix64(seed: dropout.seed)
    random = SplitMix64(seed: random.next() ^ dropout.step)
    random = SplitMix64(seed: random.next() ^ dropouts)
    return DropoutMask(key: random.next(), rate: rate, start: start)
  }

  private static func matrix(
    _ parameter: ParameterLayout.Parameter, in buffer: FloatBuffer
  ) -> FloatMatrix {
    let columns = Int(parameter.shape.rowLength)
    return FloatMatrix(
      buffer, at: parameter.range.lowerBound,
      rows: columns == 0 ? 0 : parameter.range.count / columns, columns: columns)
  }

  private func append(
    _ value: FloatMatrix, _ unit: RowUnit, isVariable: Bool, isOwned: Bool
  ) -> Variable {
    entries.append(Entry(value: value, gradient: nil, isVariable: isVariable, isOwned: isOwned))
    return Variable(
      rows: value.rows, columns: value.columns, unit: unit, index: entries.count - 1)
  }
}

/// An operation on the tape: propagates gradients from its output to its inputs and parameters.
protocol Operation {
  /// The result; nil for a loss, from which the backward pass starts.
  var output: Tape.Variable? { get }
  /// The matrices of the arena that it keeps for its pullback.
  var saved: [FloatMatrix] { get }
  /// Adds the gradients of its inputs and parameters.
  func pullBack(on tape: Tape)
}

extension Operation {
  var saved: [FloatMatrix] { [] }
}
