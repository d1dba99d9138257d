extension Sequence<UInt64> {
  /// The sum, clamped to the greatest number: sizes claimed by shapes may add up to more than 64
  /// bits hold.
  package var clampedSum: UInt64 {
    reduce(0) { sum, next in
      let (total, overflow) = sum.addingReportingOverflow(next)
      return overflow ? .max : total
    }
  }
}
