#if !Training
import TensorCore

// Replaces oneDNN in builds without it. Such builds create no `Engine`, so that only the checks
// for availability are ever reached.

/// A replacement without products.
enum OneDNN {
  /// True if this build includes oneDNN.
  static let isIncluded = false
  /// True if this processor multiplies bf16.
  static let hasHalf = false
  /// Empty: there is no instruction set in use.
  static let instructions = ""

  /// The factor of a product that is stored transposed.
  enum Transposed { case neither, first, second }

  /// Does nothing.
  static func onThisThread(_ body: () -> Void) {}

  /// Traps; it is never called.
  static func multiply(
    _ a: FloatMatrix, _ b: FloatMatrix, transposed: Transposed = .neither, factor: Float = 1,
    adding: Bool = false, into c: FloatMatrix
  ) {
    preconditionFailure("an engine without oneDNN")
  }
}

/// A replacement that is never created: `Engine` throws first.
final class Products: Sendable {
  init() throws(DiffError) {}

  /// A packed matrix, which is never created.
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
