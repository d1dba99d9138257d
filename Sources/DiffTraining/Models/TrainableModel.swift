import TensorCore

/// A model that can be finetuned: a function from parameters and examples to outputs and a loss,
/// with gradients. The caller holds the parameters in one flat buffer, so that gates, optimizers
/// and diffs work the same for every model.
///
/// Conform a class to train a custom model; `samples/DigitsMLP` is an example that uses `Tape`.
/// A model keeps memory between calls and is used by one thread at a time; it may use several
/// threads internally.
public protocol TrainableModel: AnyObject {
  /// An example of the data that the model reads.
  associatedtype Example: TrainingExample

  /// The names, shapes and offsets of the parameters.
  var layout: ParameterLayout { get }

  /// A description of everything else that results depend on, besides parameters and examples: a
  /// training is not resumed if it differs. Empty by default.
  var calculation: String { get }

  /// Fills a buffer with the values that training starts from.
  ///
  /// - Parameters:
  ///   - values: `layout.count` zeros.
  ///   - seed: The seed of values that no checkpoint holds, such as the head's.
  func initialize(_ values: FloatBuffer, seed: UInt64) throws(DiffError)

  /// Adds the gradients of `scale · Σ loss(example)`.
  ///
  /// - Parameters:
  ///   - examples: The batch, whose order matters: equal calls give equal bits, for one number of
  ///     threads.
  ///   - values: The parameters.
  ///   - scale: 1 / examples for the gradient of the mean, divided by the number of batches that
  ///     are accumulated.
  ///   - dropout: The source of dropout masks; nil for no dropout.
  ///   - gradients: Gradients of the same layout, in which the model marks the rows that it
  ///     writes. Gradients that are not required (`isWanted`) may be left out.
  /// - Returns: Σ loss(example), not scaled.
  /// - Throws: `usage` for examples that the model cannot read, before anything is added.
  func addGradients(
    of examples: [Example], at values: FloatBuffer, scale: Float, dropout: Dropout?,
    to gradients: Gradients
  ) throws(DiffError) -> Double

  /// Returns the outputs, without loss or dropout.
  ///
  /// - Throws: `usage` for examples that the model cannot read.
  func outputs(of examples: [Example], at values: FloatBuffer) throws(DiffError) -> ModelOutputs
}

extension TrainableModel {
  /// An empty description.
  public var calculation: String { "" }
}

/// An example of training data.
public protocol TrainingExample: Sendable {
  /// The target of the outputs.
  var target: Target { get }
  /// The cost of the example in a unit of the model, such as tokens: batches group similar ones.
  var length: Int { get }
}

extension TrainingExample {
  /// 1, the same for all examples.
  public var length: Int { 1 }
}

/// The target of the outputs of a model.
public enum Target: Sendable, Hashable {
  /// A class, counted from 0.
  case label(Int)
  /// A number.
  case value(Float)
  /// The first and the last token of an answer, counted from the first token of the example.
  case span(start: Int, end: Int)
  /// No target.
  case none
}

/// The outputs of a model for a batch: rows of `width` numbers.
public struct ModelOutputs: Sendable, Hashable {
  /// Row-major, [rows, width]: the scores of the classes before softmax; or one number; or for
  /// each token the scores of being the first and the last of the answer.
  public let values: [Float]
  /// The number of elements in a row.
  public let width: Int
  /// The rows of each example: one, or for spans as many as it has tokens.
  public let rows: [Range<Int>]

  /// Creates the outputs of a batch.
  public init(values: [Float], width: Int, rows: [Range<Int>]) {
    self.values = values
    self.width = width
    self.rows = rows
  }

  /// The numbers of one example, row-major.
  public subscript(example: Int) -> ArraySlice<Float> {
    values[rows[example].lowerBound * width..<rows[example].upperBound * width]
  }
}

/// The source of dropout masks: a dropped element is a function of seed, step, operation and index
/// in the batch, whatever the number of threads.
public struct Dropout: Sendable, Hashable {
  /// The seed of the run.
  public var seed: UInt64
  /// The index of the batch in the run; accumulated batches count separately.
  public var step: UInt64
  /// The extent of the examples of the batch before these, which other ranks read.
  public var preceding = BatchExtent()

  /// Creates the dropout of one batch of a run.
  public init(seed: UInt64, step: UInt64) {
    self.seed = seed
    self.step = step
  }
}

/// A tokenized text, or a pair of texts, with special tokens.
public struct TokenExample: TrainingExample, Hashable {
  /// The tokens.
  public var ids: [Int32]
  /// The segment of each token, 0 or 1, for the first or the second text; empty if all are 0.
  public var segments: [Int32]
  /// The target of the outputs.
  public var target: Target

  /// Creates an example.
  public init(ids: [Int32], segments: [Int32] = [], target: Target = .none) {
    self.ids = ids
    self.segments = segments
    self.target = target
  }

  /// The number of tokens.
  public var length: Int { ids.count }
}
