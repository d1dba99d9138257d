/// The tolerance within which two values count as equal.
///
/// By default only equal bits count as equal. With a tolerance, a and b are close if |a − b| ≤
/// `absolute` + `relative` · |b|, the formula of NumPy's `isclose` with the second value as the
/// reference; equal infinities are close, and so are two NaNs (as with `equal_nan=True`).
public struct Tolerance: Sendable, Hashable {
  /// NumPy's `atol` and `rtol`.
  public var absolute, relative: Double

  /// Creates a tolerance with these bounds, which are not negative; none by default.
  public init(absolute: Double = 0, relative: Double = 0) {
    self.absolute = absolute
    self.relative = relative
  }

  /// True if only equal bits count as equal.
  public var isExact: Bool { absolute == 0 && relative == 0 }

  func areClose(_ a: Double, _ b: Double) -> Bool {
    if a == b { return true }
    guard a.isFinite && b.isFinite else { return a.isNaN && b.isNaN }
    return abs(a - b) <= absolute + relative * abs(b)
  }
}
