#if Training
import COneDNN

/// What the large products of matrices are calculated in; everything else is float32.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// Float32.
  case f32
  /// Factors rounded to bf16, sums in float32: half the time, on processors that have it.
  case bf16

  /// Whether this processor can.
  public var isAvailable: Bool {
    guard self == .bf16 else { return true }
    let needed = dnnl_cpu_isa_avx512_core_bf16.rawValue
    return dnnl_get_effective_cpu_isa().rawValue & needed == needed
  }

  /// The fastest that this processor has.
  public static var fastest: Precision { Precision.bf16.isAvailable ? .bf16 : .f32 }
}
#endif
