/// The schedule of the learning rate: it rises in a straight line, then falls to zero in another.
public struct Schedule: Sendable, Hashable {
  /// The highest rate.
  public var peak: Float
  /// The number of steps until the rate is at its highest.
  public var warmUp: Int
  /// The number of steps of the whole run; nil for a constant rate after the warm-up.
  public var total: Int?

  /// Creates a schedule.
  public init(peak: Float, warmUp: Int = 0, total: Int? = nil) {
    self.peak = peak
    self.warmUp = max(0, warmUp)
    self.total = total
  }

  /// Returns the rate of a step, counted from 0. As in Hugging Face's linear schedule, the step
  /// `total`, which is never taken, would be the first to have rate 0, and step 0 has rate 0 if
  /// there is a warm-up.
  public func rate(at step: Int) -> Float {
    if step < warmUp { return peak * Float(step) / Float(max(1, warmUp)) }
    guard let total else { return peak }
    return peak * Float(max(0, total - step)) / Float(max(1, total - warmUp))
  }
}
