extension Sequence<UInt64> {
  /// The sum, or the greatest number there is: what shapes claim need not exist, and together may
  /// be more than 64 bits hold.
  package var clampedSum: UInt64 {
    reduce(0) { sum, next in
      let (total, overflow) = sum.addingReportingOverflow(next)
      return overflow ? .max : total
    }
  }
}
