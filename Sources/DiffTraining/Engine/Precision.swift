/// What the large products of matrices are calculated in; everything else is float32.
public enum Precision: String, Sendable, Hashable, Codable, CaseIterable {
  /// Float32.
  case f32
  /// Factors rounded to bf16, sums in float32: half the time, on processors that have it.
  case bf16

  /// Whether this processor can.
  public var isAvailable: Bool { self == .f32 || OneDNN.hasHalf }

  /// The fastest that this processor has.
  public static var fastest: Precision { Precision.bf16.isAvailable ? .bf16 : .f32 }
}
