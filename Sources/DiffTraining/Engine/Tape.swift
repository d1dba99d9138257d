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
    let index: Int
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
  }

  let engine: Engine
  let parameters: FloatBuffer
  let gradients: Gradients?
  private let dropout: Dropout?
  private var dropouts: UInt64 = 0
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

  /// A matrix that no gradient is taken by.
  public func constant(_ value: FloatMatrix) -> Variable {
    append(value, isVariable: false, isOwned: false)
  }

  /// A matrix of given numbers, row-major, that no gradient is taken by.
  public func constant(_ numbers: [Float], rows: Int, columns: Int) -> Variable {
    precondition(numbers.count == rows * columns)
    let value = engine.arena.take(rows: rows, columns: columns)
    for row in 0..<rows {
      for column in 0..<columns { value[row, column] = numbers[row * columns + column] }
    }
    return append(value, isVariable: false, isOwned: true)
  }

  /// Returns the values of a variable, valid until the engine's next tape is created.
  public func value(of variable: Variable) -> FloatMatrix { entries[variable.index].value }

  /// Adds the gradients of `scale` times all losses on the tape to those of the parameters. What
  /// is on the tape is gone then.
  public func pullBack(scale: Float) {
    self.scale = scale
    while let operation = operations.popLast() {
      let output = operation.output.map { entries[$0.index] }
      // A result on which no loss depends has no gradient.
      if operation.output == nil || output?.gradient != nil {
        operation.pullBack(on: self)
      }
      for matrix in operation.saved { engine.arena.giveBack(matrix) }
      guard let output, let index = operation.output?.index else { continue }
      if output.isOwned { engine.arena.giveBack(output.value) }
      for matrix in [output.gradient, output.half?.memory] {
        if let matrix { engine.arena.giveBack(matrix) }
      }
      entries[index].gradient = nil
    }
    entries = []
  }

  /// Lets go of the memory of all variables but one, if no gradients are wanted.
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

  /// A new variable, its elements undefined, that depends on these variables and parameters.
  func variable(
    rows: Int, columns: Int, of inputs: [Variable],
    _ parameters: [ParameterLayout.Parameter] = []
  ) -> Variable {
    append(
      engine.arena.take(rows: rows, columns: columns),
      isVariable: inputs.contains { entries[$0.index].isVariable }
        || parameters.contains { gradients?.isWanted[$0.index] ?? false },
      isOwned: true)
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

  /// The mask of the next dropout on this tape.
  func nextMask(rate: Float) -> DropoutMask {
    guard let dropout, rate > 0 else { return .none }
    dropouts += 1
    var random = SplitMix64(seed: dropout.seed)
    random = SplitMix64(seed: random.next() ^ dropout.step)
    random = SplitMix64(seed: random.next() ^ dropouts)
    return DropoutMask(key: random.next(), rate: rate)
  }

  private static func matrix(
    _ parameter: ParameterLayout.Parameter, in buffer: FloatBuffer
  ) -> FloatMatrix {
    let columns = Int(parameter.shape.rowLength)
    return FloatMatrix(
      buffer, at: parameter.range.lowerBound,
      rows: columns == 0 ? 0 : parameter.range.count / columns, columns: columns)
  }

  private func append(_ value: FloatMatrix, isVariable: Bool, isOwned: Bool) -> Variable {
    entries.append(Entry(value: value, gradient: nil, isVariable: isVariable, isOwned: isOwned))
    return Variable(rows: value.rows, columns: value.columns, index: entries.count - 1)
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
