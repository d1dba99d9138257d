import Platform

/// SplitMix64 (Steele, Lea, Flood 2014), a random number generator with a seed.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Returns a uniform number in 0..<`bound` (Lemire 2019): the algorithm of the standard library
  /// as of Swift 6, implemented here because that may change.
  package mutating func next(below bound: UInt64) -> UInt64 {
    precondition(bound > 0)
    var product = next().multipliedFullWidth(by: bound)
    if product.low < bound {
      let uneven = (0 &- bound) % bound
      while product.low < uneven { product = next().multipliedFullWidth(by: bound) }
    }
    return product.high
  }

  /// Returns a uniform number in 0..<1.
  package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Returns a Gaussian number with mean 0 and deviation 1, by the polar method (Marsaglia, Bray
  /// 1964).
  package mutating func gaussian() -> Double {
    while true {
      let x = 2 * unit() - 1
      let y = 2 * unit() - 1
      let s = x * x + y * y
      if s > 0 && s < 1 { return x * (-2 * log(s) / s).squareRoot() }
    }
  }
}
