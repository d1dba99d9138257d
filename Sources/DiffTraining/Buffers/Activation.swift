/// An activation function. Raw values are those of the kernels.
public enum Activation: Int32, Sendable, Hashable, CaseIterable {
  /// x Φ(x) (Hendrycks, Gimpel 2016).
  case gelu = 0
  /// GELU with Φ approximated by a tanh.
  case geluTanh = 1
  case tanh = 2
  case relu = 3
}
