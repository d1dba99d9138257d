import Kernels
import SystemSupport
import TensorCore

/// The threads and the memory that calculate a model; the memory is reused for every batch.
public final class Engine {
  /// The number of threads that work is split among. Equal numbers give equal bits.
  public let threads: Int
  /// The precision of large matrix products.
  public let precision: Precision
  let arena = Arena()
  /// The products of each thread.
  let products: [Products]
  /// The parameters that do not change during `fixing`.
  private var fixed: FloatBuffer?

  /// Creates an engine.
  ///
  /// - Parameters:
  ///   - threads: By default the number of the processor's cores.
  ///   - precision: By default float32; bf16 only where the processor supports it.
  /// - Throws: `unsupported` in a build without the trait `Training`, or where the processor
  ///   does not support `precision`.
  public init(threads: Int? = nil, precision: Precision = .f32) throws(DiffError) {
    try Engine.requireAvailable()
    guard precision.isAvailable else {
      throw DiffError(.unsupported, "this processor does not support \(precision.rawValue)")
    }
    self.threads = max(1, threads ?? ProcessorCount.online)
    self.precision = precision
    var products: [Products] = []
    for _ in 0..<self.threads { products.append(try Products()) }
    self.products = products
  }

  /// Checks that this build can train, so that a caller can fail before it reads any input.
  ///
  /// - Throws: `unsupported` in a build without the trait `Training`.
  public static func requireAvailable() throws(DiffError) {
    guard !OneDNN.isIncluded else { return }
    throw DiffError(
      .unsupported,
      "this build does not train: install oneDNN (libdnnl-dev) and build with the package's "
        + "default traits, which include Training")
  }

  /// The instruction set in use, on which the bits of results depend.
  public static var instructions: String { OneDNN.instructions }

  /// Runs `body`, which must not change these parameters, so that weights are packed only once.
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

  /// Returns whether these are the parameters that `fixing` holds.
  func isFixed(_ parameters: FloatBuffer) -> Bool { fixed === parameters }

  /// Returns a matrix as bf16, padded with rows of zeros to a multiple of 64 rows, so that few
  /// shapes of products are created. Its memory is the arena's.
  func half(of matrix: FloatMatrix) -> HalfMatrix {
    let rows = (matrix.rows + 63) / 64 * 64
    let half = HalfMatrix(
      arena.take(rows: rows, columns: (matrix.columns + 1) / 2), columns: matrix.columns)
    split(matrix.rows) { Kernels.round(matrix.rows($0), into: half.rows($0)) }
    half.memory.rows(matrix.rows..<rows).clear()
    return half
  }

  /// Returns the share of each thread in `0..<count`, in multiples of `grain`.
  func shares(of count: Int, grain: Int) -> [Range<Int>] {
    let grains = (count + grain - 1) / grain
    func start(_ thread: Int) -> Int { min(count, grains * thread / threads * grain) }
    return (0..<threads).map { start($0)..<start($0 + 1) }
  }

  /// Runs `body` concurrently for parts of `0..<count`.
  ///
  /// - Parameter grain: The multiple at which parts begin.
  func split(_ count: Int, grain: Int = 1, _ body: @Sendable (Range<Int>) -> Void) {
    let grains = (count + grain - 1) / grain
    let parts = min(threads, grains)
    parallel(parts) { part in
      let start = grains * part / parts * grain
      body(start..<min(count, grains * (part + 1) / parts * grain))
    }
  }

  /// Runs `body` concurrently for parts of two ranges; each thread gets one part of either.
  func split(
    _ first: Int, _ second: Int, grain: Int,
    _ body: @Sendable (_ first: Range<Int>, _ second: Range<Int>) -> Void
  ) {
    let (first, second) = (shares(of: first, grain: 1), shares(of: second, grain: grain))
    parallel(threads) { body(first[$0], second[$0]) }
  }

  /// Runs `body(0)` … `body(count - 1)` concurrently, without subnormal numbers and with oneDNN
  /// confined to the calling thread.
  func parallel(_ count: Int, _ body: @Sendable (Int) -> Void) {
    parallelFor(count) { part in
      Kernels.withoutSubnormals {
        OneDNN.onThisThread { body(part) }
      }
    }
  }
}
