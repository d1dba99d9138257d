import Kernels

/// Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019), as in PyTorch, for
/// a group of parameters in flat buffers: one clipping, one rate. A model whose head has another
/// rate has two of these.
///
/// Gradients of several batches are accumulated by the model: take a step when they are complete,
/// then clear them.
///
/// Rows of tables (embeddings) that no batch has touched cost nothing, yet every row moves as dense
/// Adam would move it: one without a gradient moves on by its momentum. See `TableRows`.
public final class AdamW {
  /// The hyperparameters of the steps.
  public struct Options: Sendable, Hashable {
    /// The decay rate of the mean of the gradients.
    public var beta1 = 0.9
    /// The decay rate of the mean of their squares.
    public var beta2 = 0.999
    /// The number that keeps the quotient finite. Gates need one as small as this.
    public var epsilon = 1e-8
    /// The weight decay, which is multiplied by the rate. If it is not zero, every row of a table
    /// is moved in every step.
    public var decay = 0.0
    /// The clipping of the group's gradients.
    public var clipping = Clipping(limit: 1)

    /// Creates the defaults of the paper on diff pruning.
    public init() {}
  }

  /// The hyperparameters of the steps.
  public let options: Options
  /// The indices in the layout's `parameters` of those that are moved.
  public let parameters: [Int]
  /// The means of the gradients and of their squares, of the layout's size; only parts that are not
  /// zero take memory.
  public let first, second: FloatBuffer
  /// The number of steps that were taken.
  public private(set) var steps = 0
  private var tables: [Int: TableRows] = [:]

  /// Creates an optimizer.
  ///
  /// - Parameters:
  ///   - layout: The layout of the model's parameters.
  ///   - parameters: The indices in `layout.parameters` of those to be moved, without those that
  ///     are frozen.
  ///   - options: The hyperparameters of the steps.
  public init(_ layout: ParameterLayout, parameters: [Int], options: Options = Options()) {
    self.options = options
    self.parameters = parameters
    first = FloatBuffer(count: layout.count)
    second = FloatBuffer(count: layout.count)
    for index in parameters where options.decay == 0 && layout.parameters[index].isTable {
      tables[index] = TableRows(layout.parameters[index])
    }
  }

  /// Moves the parameters.
  ///
  /// - Parameters:
  ///   - values: The parameters.
  ///   - gradients: Their gradients, which are not changed.
  ///   - rate: The learning rate.
  /// - Returns: The norm of the gradients before they were clipped. If it is not finite, nothing
  ///   was moved.
  /// - Complexity: One pass over the group; in tables, over rows that were touched lately.
  @discardableResult
  public func step(_ values: FloatBuffer, _ gradients: Gradients, rate: Float) -> Double {
    let norm = gradients.norm(of: parameters)
    guard norm.isFinite else { return norm }
    steps += 1
    let step = AdamStep(
      learningRate: Double(rate), number: steps, beta1: options.beta1, beta2: options.beta2,
      epsilon: options.epsilon, decay: options.decay, scale: options.clipping.scale(norm: norm))
    let ranges = parameters.flatMap { index in
      tables[index]?.wake(gradients.touchedRows(of: index) ?? [], at: steps, scaleMoments)
      return tables[index]?.movingRanges(at: steps) ?? [gradients.layout.parameters[index].range]
    }
    let (source, first, second) = (gradients.values, first, second)
    RangeTasks(ranges).forEach {
      Kernels.adam(values, gradients: source, means: first, squares: second, $0, step)
    }
    return norm
  }

  /// Scales the moments of a row by the decay of steps without gradient.
  private func scaleMoments(_ row: Range<Int>, steps: Int) {
    Kernels.scale(first, row, by: Float(power(options.beta1, steps)))
    Kernels.scale(second, row, by: Float(power(options.beta2, steps)))
  }

  /// The state that a resumed run needs beside `first` and `second`: the steps taken, and for each
  /// table the last step that touched each row, 0 if none did.
  public var state: State {
    get { State(steps: steps, lastTouched: tables.mapValues(\.lastTouched)) }
    set {
      steps = newValue.steps
      for (index, rows) in newValue.lastTouched { tables[index]?.lastTouched = rows }
    }
  }

  /// The state of an optimizer; see `state`.
  public struct State: Sendable, Hashable {
    /// The number of steps that were taken.
    public var steps: Int
    /// The last step that touched each row, by the table's index in the layout's `parameters`.
    public var lastTouched: [Int: [Int32]]

    /// Creates a stored state.
    public init(steps: Int, lastTouched: [Int: [Int32]]) {
      self.steps = steps
      self.lastTouched = lastTouched
    }
  }
}
