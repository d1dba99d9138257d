import CKernels
import Kernels

extension Kernels {
  /// Adds y to x.
  package static func add(_ y: FloatMatrix, to x: FloatMatrix) {
    precondition(x.isContiguous && y.isContiguous && x.count == y.count)
    unsafe dk_add(x.pointer, y.pointer, x.count)
  }

  /// Copies y to x, or adds it if `adding`.
  package static func put(_ y: FloatMatrix, into x: FloatMatrix, adding: Bool) {
    if adding { return add(y, to: x) }
    precondition(x.isContiguous && y.isContiguous && x.count == y.count)
    unsafe x.pointer.update(from: y.pointer, count: x.count)
  }

  /// Multiplies x by a factor.
  package static func scale(_ x: FloatMatrix, by factor: Float) {
    precondition(x.isContiguous)
    unsafe dk_scale(x.pointer, x.count, factor)
  }

  /// Multiplies x by y, element by element.
  package static func multiply(_ x: FloatMatrix, by y: FloatMatrix) {
    precondition(x.isContiguous && y.isContiguous && x.count == y.count)
    unsafe dk_multiply(x.pointer, y.pointer, x.count)
  }

  /// Adds a row to every row of x.
  package static func addRow(_ row: FloatMatrix, to x: FloatMatrix) {
    precondition(row.rows == 1 && row.columns == x.columns)
    unsafe dk_add_row(x.pointer, x.rows, x.columns, x.stride, row.pointer)
  }

  /// Adds the sums of the columns of x to `sums`.
  package static func addColumns(of x: FloatMatrix, to sums: FloatMatrix) {
    precondition(sums.rows == 1 && sums.columns == x.columns)
    unsafe dk_add_columns(x.pointer, x.rows, x.columns, x.stride, sums.pointer)
  }

  /// Sets y = f(x) and, if given, slope = f′(x). Either may be x; all have the same stride.
  package static func activate(
    _ x: FloatMatrix, _ activation: Activation, into y: FloatMatrix, slope: FloatMatrix?
  ) {
    for other in [y, slope ?? y] {
      precondition(other.rows == x.rows && other.columns == x.columns && other.stride == x.stride)
    }
    unsafe dk_activate(
      activation.rawValue, x.pointer, x.rows, x.columns, x.stride, y.pointer, slope?.pointer)
  }

  /// Rounds float32 to bf16.
  package static func round(_ x: FloatMatrix, into out: HalfMatrix) {
    precondition(out.rows == x.rows && out.columns == x.columns)
    unsafe dk_bf16(x.pointer, x.rows, x.columns, x.stride, out.pointer, out.stride)
  }

  /// x += y, both contiguous.
  package static func add(_ y: HalfMatrix, to x: FloatMatrix) {
    precondition(x.isContiguous && y.rows == 1 && x.count == y.columns)
    unsafe dk_add_bf16(x.pointer, y.pointer, x.count)
  }

  /// Replaces each row by its softmax.
  package static func softmax(_ x: FloatMatrix) {
    precondition(x.isContiguous)
    if x.columns > 0 { unsafe dk_softmax(x.pointer, x.rows, x.columns) }
  }

  /// Replaces the gradient with respect to softmax rows by `factor` times that with respect to the
  /// input of the softmax.
  package static func softmaxSlope(
    of probabilities: FloatMatrix, _ gradient: FloatMatrix, factor: Float
  ) {
    precondition(probabilities.isContiguous && gradient.isContiguous)
    precondition(probabilities.count == gradient.count)
    unsafe dk_softmax_slope(
      probabilities.pointer, gradient.pointer, gradient.rows, gradient.columns, factor)
  }

  /// Sets rows of x to (x − mean) / deviation, y to gain ∘ x + shift, scales to 1 / deviation.
  package static func normalize(
    _ x: FloatMatrix, gain: FloatMatrix, shift: FloatMatrix, epsilon: Float,
    into y: FloatMatrix, scales: FloatMatrix
  ) {
    precondition(x.isContiguous && y.isContiguous && scales.isContiguous)
    precondition(y.count == x.count && scales.count == x.rows)
    precondition(gain.columns == x.columns && shift.columns == x.columns)
    unsafe dk_normalize(
      x.pointer, x.rows, x.columns, gain.pointer, shift.pointer, epsilon, y.pointer,
      scales.pointer)
  }

  /// Calculates the gradients of `normalize`; adds to those of gain and shift, and to dx if
  /// `adding`.
  package static func normalizeSlope(
    _ gradient: FloatMatrix, normalized x: FloatMatrix, scales: FloatMatrix, gain: FloatMatrix,
    into dx: FloatMatrix, adding: Bool, gainGradient: FloatMatrix, shiftGradient: FloatMatrix
  ) {
    precondition(gradient.isContiguous && x.isContiguous && dx.isContiguous)
    precondition(gradient.count == x.count && dx.count == x.count && scales.count == x.rows)
    precondition(gain.columns == x.columns && gainGradient.columns == x.columns)
    precondition(shiftGradient.columns == x.columns)
    unsafe dk_normalize_slope(
      gradient.pointer, x.pointer, scales.pointer, gain.pointer, x.rows, x.columns,
      adding ? 1 : 0, dx.pointer, gainGradient.pointer, shiftGradient.pointer)
  }

  /// Sets out = base + dropout(x); `out` may be x or base.
  ///
  /// - Parameter first: The index of the first element in the matrix that the mask is for, among
  ///   those of the rows that this rank reads.
  package static func dropout(
    _ x: FloatMatrix, _ mask: DropoutMask, first: Int, base: FloatMatrix? = nil,
    into out: FloatMatrix
  ) {
    precondition(x.isContiguous && out.isContiguous && x.count == out.count)
    precondition(base.map { $0.isContiguous && $0.count == x.count } ?? true)
    unsafe dk_dropout(
      x.pointer, base?.pointer, x.count, mask.key,
      UInt32(truncatingIfNeeded: mask.start &+ first), mask.rate, out.pointer)
  }

  /// Runs `body` with subnormal numbers treated as zero, since small moments would make arithmetic
  /// many times slower.
  package static func withoutSubnormals(_ body: () -> Void) {
    let before = dk_subnormals(UInt32(DK_NO_SUBNORMALS))
    body()
    _ = dk_subnormals(before)
  }
}
