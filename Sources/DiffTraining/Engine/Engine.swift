import Kernels
import SystemSupport
import TensorCore

/// Where a model is calculated: threads, and memory that is used again for every batch.
public final class Engine {
  /// In how many parts work is split. Results are the same bits for the same number.
  public let threads: Int
  /// What large products of matrices are calculated in.
  public let precision: Precision
  let arena = Arena()
  /// Of each thread.
  let products: [Products]
  /// Parameters that do not change meanwhile.
  private var fixed: FloatBuffer?

  /// - Parameters:
  ///   - threads: As many as the processor has cores, unless given.
  ///   - precision: Float32, unless given; bf16 where the processor has it.
  /// - Throws: `unsupported` in a build without the trait `Training`, or where the processor
  ///   cannot calculate in `precision`.
  public init(threads: Int? = nil, precision: Precision = .f32) throws(DiffError) {
    try Engine.requireAvailable()
    guard precision.isAvailable else {
      throw DiffError(.unsupported, "this processor does not calculate in \(precision.rawValue)")
    }
    self.threads = max(1, threads ?? ProcessorCount.online)
    self.precision = precision
    var products: [Products] = []
    for _ in 0..<self.threads { products.append(try Products()) }
    self.products = products
  }

  /// Refuses builds that cannot calculate, before anything is read for it.
  ///
  /// - Throws: `unsupported` in a build without the trait `Training`.
  public static func requireAvailable() throws(DiffError) {
    guard !OneDNN.isIncluded else { return }
    throw DiffError(
      .unsupported,
      "this build does not train: install oneDNN (libdnnl-dev) and build with the package's "
        + "default traits, which include Training")
  }

  /// What the processor calculates with: bits of results depend on it.
  public static var instructions: String { OneDNN.instructions }

  /// Runs `body`, which does not change these parameters: weights are packed once for all of it.
  /// Calls may be nested.
  public func fixing<Result>(
    _ parameters: FloatBuffer, _ body: () throws(DiffError) -> Result
  ) throws(DiffError) -> Result {
    if isFixed(parameters) { return try body() }
    fixed = parameters
    defer {
      fixed = nil
      for products in products { products.forget() }
    }
    return try body()
  }

  /// Whether parameters are the ones that do not change.
  func isFixed(_ parameters: FloatBuffer) -> Bool { fixed === parameters }

  /// A matrix as bf16, and rows of zeros behind it to a multiple of 64 rows: so few kinds of
  /// products are made. Its memory is the arena's.
  func half(of matrix: FloatMatrix) -> HalfMatrix {
    let rows = (matrix.rows + 63) / 64 * 64
    let half = HalfMatrix(
      arena.take(rows: rows, columns: (matrix.columns + 1) / 2), columns: matrix.columns)
    split(matrix.rows) { Kernels.round(matrix.rows($0), into: half.rows($0)) }
    half.memory.rows(matrix.rows..<rows).clear()
    return half
  }

  /// The share of each thread in `0..<count`: begins and ends at multiples of `grain`.
  func shares(of count: Int, grain: Int) -> [Range<Int>] {
    let grains = (count + grain - 1) / grain
    func start(_ thread: Int) -> Int { min(count, grains * thread / threads * grain) }
    return (0..<threads).map { start($0)..<start($0 + 1) }
  }

  /// Runs `body` for parts of `0..<count` at the same time.
  ///
  /// - Parameter grain: Parts begin at multiples of it.
  func split(_ count: Int, grain: Int = 1, _ body: @Sendable (Range<Int>) -> Void) {
    let grains = (count + grain - 1) / grain
    let parts = min(threads, grains)
    parallel(parts) { part in
      let start = grains * part / parts * grain
      body(start..<min(count, grains * (part + 1) / parts * grain))
    }
  }

  /// Runs `body` for parts of two ranges at the same time, each thread one part of either.
  func split(
    _ first: Int, _ second: Int, grain: Int,
    _ body: @Sendable (_ first: Range<Int>, _ second: Range<Int>) -> Void
  ) {
    let (first, second) = (shares(of: first, grain: 1), shares(of: second, grain: grain))
    parallel(threads) { body(first[$0], second[$0]) }
  }

  /// Runs `body(0)` … `body(count - 1)` at the same time, with what every thread that
  /// calculates has to have set.
  func parallel(_ count: Int, _ body: @Sendable (Int) -> Void) {
    parallelFor(count) { part in
      Kernels.withoutSubnormals {
        OneDNN.onThisThread { body(part) }
      }
    }
  }
}
