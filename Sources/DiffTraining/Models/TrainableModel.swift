import TensorCore

/// What can be finetuned: a function from parameters and examples to outputs and a loss, that
/// knows its gradients. The parameters themselves lie with the caller, in one flat buffer, so
/// that gates, optimizers and diffs work the same for every model.
///
/// Conform a class of your own to train it; `samples/DigitsMLP` is one, written with `Tape`.
/// A model keeps memory between calls and is used by one thread at a time; it uses several itself.
public protocol TrainableModel: AnyObject {
  /// What the model reads, one piece of training data.
  associatedtype Example: TrainingExample

  /// The names, shapes and places of the parameters.
  var layout: ParameterLayout { get }

  /// What results depend on besides parameters and examples: a training that was stopped is not
  /// resumed where it differs. Empty, unless given.
  var calculation: String { get }

  /// Fills a buffer with the values that training starts from.
  ///
  /// - Parameters:
  ///   - values: Zeros, `layout.count` of them.
  ///   - seed: What the values are a function of that no checkpoint gives (the head's).
  func initialize(_ values: FloatBuffer, seed: UInt64) throws(DiffError)

  /// Adds the gradients of `scale · Σ loss(example)`.
  ///
  /// - Parameters:
  ///   - examples: The batch, in an order that counts: equal calls give equal bits, for one
  ///     number of threads.
  ///   - values: The parameters.
  ///   - scale: 1 / examples for the gradient of the mean; less by the number of batches that
  ///     are accumulated.
  ///   - dropout: What is dropped is a function of this; nil drops nothing.
  ///   - gradients: Of the same layout. Rows that are written are noted there; those of parameters
  ///     that nobody wants (`isWanted`) may be left out.
  /// - Returns: Σ loss(example), not scaled.
  /// - Throws: `usage` for examples that the model cannot read, before anything is added.
  func addGradients(
    of examples: [Example], at values: FloatBuffer, scale: Float, dropout: Dropout?,
    to gradients: Gradients
  ) throws(DiffError) -> Double

  /// The outputs without a loss; nothing is dropped.
  ///
  /// - Throws: `usage` for examples that the model cannot read.
  func outputs(of examples: [Example], at values: FloatBuffer) throws(DiffError) -> ModelOutputs
}

extension TrainableModel {
  /// Nothing.
  public var calculation: String { "" }
}

/// A piece of training data.
public protocol TrainingExample: Sendable {
  /// What the outputs shall be.
  var target: Target { get }
  /// How much work it is, in a unit of the model's (tokens): batches are made of similar ones.
  var length: Int { get }
}

extension TrainingExample {
  /// One: all are alike.
  public var length: Int { 1 }
}

/// What the outputs of a model shall be.
public enum Target: Sendable, Hashable {
  /// A class, counted from 0.
  case label(Int)
  /// A number.
  case value(Float)
  /// The first and the last token of an answer, counted from the first token of the example.
  case span(start: Int, end: Int)
  /// Not known.
  case none
}

/// What a model says to a batch: rows of `width` numbers.
public struct ModelOutputs: Sendable, Hashable {
  /// Row-major, [rows, width]: the scores of the classes before softmax; or one number; or for
  /// each token the scores of being the first and the last of the answer.
  public let values: [Float]
  /// Numbers in a row.
  public let width: Int
  /// The rows of each example: one, or for spans as many as it has tokens.
  public let rows: [Range<Int>]

  /// The outputs of a batch.
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

/// Names the elements that dropout sets to zero: a function of seed, step, place in the model and
/// place in the batch, whatever the number of threads.
public struct Dropout: Sendable, Hashable {
  /// The run's.
  public var seed: UInt64
  /// Counts the batches of a run, accumulated ones too.
  public var step: UInt64
  /// What of the batch comes before these examples, which other ranks read.
  public var preceding = BatchExtent()

  /// What to drop in one batch of a run.
  public init(seed: UInt64, step: UInt64) {
    self.seed = seed
    self.step = step
  }
}

/// A tokenized text, or two of them, with its special tokens.
public struct TokenExample: TrainingExample, Hashable {
  /// The tokens.
  public var ids: [Int32]
  /// Which of two texts each token belongs to, 0 or 1; empty if all are 0.
  public var segments: [Int32]
  /// What the model shall say.
  public var target: Target

  /// A text for the model to read.
  public init(ids: [Int32], segments: [Int32] = [], target: Target = .none) {
    self.ids = ids
    self.segments = segments
    self.target = target
  }

  /// Tokens.
  public var length: Int { ids.count }
}
