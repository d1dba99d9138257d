import CKernels
import TensorCore

extension Kernels {
  /// Fills `values` with `value · factor` for every value of `bytes`, in float64.
  package static func widen(
    _ bytes: Span<UInt8>, _ type: FloatType, factor: Double, into values: inout MutableSpan<Double>
  ) {
    precondition(bytes.count == values.count * type.width)
    unsafe memory(bytes, &values) { from, to in
      unsafe dk_widen(from.baseAddress, type.rawValue, to.count, factor, to.baseAddress)
    }
  }

  /// Fills `bytes` with `value · factor` rounded to `type`, to nearest even.
  package static func narrow(
    _ values: Span<Double>, _ type: FloatType, factor: Double, into bytes: inout MutableSpan<UInt8>
  ) {
    precondition(bytes.count == values.count * type.width)
    unsafe memory(values, &bytes) { from, to in
      unsafe dk_narrow(from.baseAddress, type.rawValue, from.count, factor, to.baseAddress)
    }
  }

  /// Returns the numbers that values represent: `value · 2^scale`.
  package static func widened(_ values: Span<UInt8>, _ type: FloatType, _ scale: Int) -> [Double] {
    var numbers = [Double](repeating: 0, count: values.count / type.width)
    var span = numbers.mutableSpan
    widen(values, type, factor: .powerOfTwo(scale), into: &span)
    return numbers
  }

  /// Returns the values that represent numbers, each rounded to nearest even; see `widened`.
  package static func narrowed(
    _ numbers: Span<Double>, _ type: FloatType, _ scale: Int
  ) -> [UInt8] {
    var values = [UInt8](repeating: 0, count: numbers.count * type.width)
    var span = values.mutableSpan
    narrow(numbers, type, factor: .powerOfTwo(-scale), into: &span)
    return values
  }

  /// Returns the largest magnitude; zero if there are no values, infinity or NaN if there is one.
  package static func largest(_ values: Span<Double>) -> Double {
    unsafe memory(values) { unsafe dk_largest($0.baseAddress, $0.count) }
  }

  /// Returns the number of magnitudes that are at most `limit`.
  package static func count(_ values: Span<Double>, upTo limit: Double) -> Int {
    unsafe memory(values) { unsafe dk_count_up_to($0.baseAddress, $0.count, limit) }
  }

  /// Adds `deltas` at the `offsets` of `block`, each plus `shift` modulo 2^32, which must ascend:
  /// one addition in float32 (float64 tensors: in float64), then conversion to the tensor's type,
  /// each to nearest even. A NaN becomes that of the file format: positive, quiet, without payload.
  /// Returns the number of elements that became infinite.
  @discardableResult
  package static func scatterAdd(
    _ block: inout MutableSpan<UInt8>, _ type: FloatType, at offsets: Span<UInt32>,
    shift: UInt32 = 0, _ deltas: Span<Double>
  ) -> Int {
    precondition(deltas.count >= offsets.count)
    check(offsets, shift, block.count / type.width)
    return unsafe memory(offsets, deltas, &block) { at, deltas, block in
      unsafe dk_scatter_add(
        block.baseAddress, type.rawValue, at.baseAddress, at.count, shift, deltas.baseAddress)
    }
  }

  /// Calculates `b − a` element by element: exact if float64 can represent it, else the odd one of
  /// its two neighbors, which rounds to float32 and narrower types as the exact difference does.
  package static func subtract(
    _ a: Span<UInt8>, from b: Span<UInt8>, _ type: FloatType,
    into differences: inout MutableSpan<Double>
  ) {
    precondition(a.count == b.count && a.count == differences.count * type.width)
    unsafe memory(a, b, &differences) { a, b, to in
      unsafe dk_subtract(a.baseAddress, b.baseAddress, type.rawValue, to.count, to.baseAddress)
    }
  }
}

extension Double {
  /// Returns exactly 2^exponent.
  package static func powerOfTwo(_ exponent: Int) -> Double {
    Double(sign: .plus, exponent: exponent, significand: 1)
  }
}
