/// The precision of large matrix products; everything else is float32.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// Float32.
  case f32
  /// Factors rounded to bf16, sums in float32: half the time, on processors that support it.
  case bf16

  /// True if this processor supports it.
  public var isAvailable: Bool { self == .f32 || OneDNN.hasHalf }

  /// The fastest precision that this processor supports.
  public static var fastest: Precision { Precision.bf16.isAvailable ? .bf16 : .f32 }
}
