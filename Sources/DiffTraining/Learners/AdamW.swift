import Kernels

/// Adam with decoupled weight decay (Kingma, Ba 2015; Loshchilov, Hutter 2019), as PyTorch's, for
/// a group of parameters that lie in flat buffers: one clipping, one rate. A model whose head is
/// to have a rate of its own has two of these.
///
/// Gradients of several batches are accumulated by the model: take a step when they are complete,
/// then clear them.
///
/// Rows of tables (embeddings) that no batch has touched cost nothing, and yet every row moves as
/// dense Adam would move it: one without a gradient goes on by its momentum. See `TableRows`.
public final class AdamW {
  /// What the steps are made with.
  public struct Options: Sendable, Hashable {
    /// How much of the mean of the gradients stays, from step to step.
    public var beta1 = 0.9
    /// How much of the mean of their squares stays.
    public var beta2 = 0.999
    /// Keeps the quotient finite. Gates need one as small as this.
    public var epsilon = 1e-8
    /// How much of its weight a parameter loses in a step, times the rate. If it is not zero,
    /// every row of a table is moved in every step.
    public var decay = 0.0
    /// Clips the gradients of the group.
    public var clipping = Clipping(limit: 1)

    /// The defaults of the paper on diff pruning.
    public init() {}
  }

  /// What the steps are made with.
  public let options: Options
  /// Places in the layout's `parameters` of those that are moved.
  public let parameters: [Int]
  /// The means of the gradients and of their squares; of the layout's size, memory where they are
  /// not zero.
  public let first, second: FloatBuffer
  /// How many steps were taken.
  public private(set) var steps = 0
  private var tables: [Int: TableRows] = [:]

  /// An optimizer at rest.
  ///
  /// - Parameters:
  ///   - parameters: Places in `layout.parameters` of those to be moved, without those that are
  ///     frozen.
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
  ///   - gradients: Their gradients; left as they are.
  ///   - rate: The learning rate.
  /// - Returns: The norm of the gradients before they were clipped. If it is not finite, nothing
  ///   was moved.
  /// - Complexity: One pass over the group, of tables over rows that were touched lately.
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

  /// The moments of a row after steps without gradient.
  private func scaleMoments(_ row: Range<Int>, steps: Int) {
    Kernels.scale(first, row, by: Float(power(options.beta1, steps)))
    Kernels.scale(second, row, by: Float(power(options.beta2, steps)))
  }

  /// What a run that goes on needs beside `first` and `second`: the steps taken, and of each
  /// table the step that touched each row last, 0 if none did.
  public var state: State {
    get { State(steps: steps, lastTouched: tables.mapValues(\.lastTouched)) }
    set {
      steps = newValue.steps
      for (index, rows) in newValue.lastTouched { tables[index]?.lastTouched = rows }
    }
  }

  /// See `state`.
  public struct State: Sendable, Hashable {
    /// How many steps were taken.
    public var steps: Int
    /// By the table's place in the layout's `parameters`.
    public var lastTouched: [Int: [Int32]]

    /// A state that was stored.
    public init(steps: Int, lastTouched: [Int: [Int32]]) {
      self.steps = steps
      self.lastTouched = lastTouched
    }
  }
}
