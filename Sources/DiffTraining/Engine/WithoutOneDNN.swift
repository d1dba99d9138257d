#if !Training
import TensorCore

// What stands for oneDNN in builds without it. No `Engine` is ever made there, so that nothing of
// this is ever reached but for what asks whether it is there.

/// No products.
enum OneDNN {
  /// Whether this build has it.
  static let isIncluded = false
  /// Whether this processor multiplies bf16.
  static let hasHalf = false
  /// None.
  static let instructions = ""

  /// Which factor of a product is stored with its rows as columns.
  enum Transposed { case neither, first, second }

  /// No thread has anything to do.
  static func onThisThread(_ body: () -> Void) {}

  /// Is never called.
  static func multiply(
    _ a: FloatMatrix, _ b: FloatMatrix, transposed: Transposed = .neither, factor: Float = 1,
    adding: Bool = false, into c: FloatMatrix
  ) {
    preconditionFailure("an engine without oneDNN")
  }
}

/// None is ever made: `Engine` refuses first.
final class Products: Sendable {
  init() throws(DiffError) {}

  /// The second factor of products, of which there are none.
  struct Packed {}

  func pack(
    _ b: FloatMatrix, isTransposed: Bool, for result: FloatMatrix, asHalf: Bool,
    keptAs key: Int? = nil
  ) -> Packed {
    preconditionFailure("products without oneDNN")
  }

  func forget() {}

  func multiply(
    _ a: some Factor, _ b: Packed, adding: Bool = false, into c: FloatMatrix,
    finish: (Range<Int>) -> Void = { _ in }
  ) {}

  func add(transposed a: HalfMatrix, _ b: HalfMatrix, to c: FloatMatrix) {
    preconditionFailure("products without oneDNN")
  }
}
#endif
