import TensorCore

/// A number of a merge, such as a weight: one for all tensors, but for those that have their own.
public struct MergeSetting: Sendable, Hashable {
  /// The number of every tensor without one of its own.
  public var usual: Double
  private var own: [TensorName.Key: Double] = [:]

  /// One number for all tensors.
  public init(_ usual: Double) { self.usual = usual }

  /// The number of a tensor; '/' and '.' are the same separator.
  public subscript(tensor: TensorName) -> Double {
    get { self[tensor.key] }
    set { own[tensor.key] = newValue }
  }

  subscript(key: TensorName.Key) -> Double { own.isEmpty ? usual : own[key] ?? usual }

  /// Whether all tensors have one number.
  public var isUniform: Bool { own.values.allSatisfy { $0 == usual } }

  /// Every number that some tensor has, or could have.
  var numbers: [Double] { [usual] + own.values }

  /// Numbers by which two settings can be put in order: those of the same tensors come first.
  var order: [Double] { [usual] + own.sorted { $0.key < $1.key }.map(\.value) }
}

extension MergeSetting: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
  /// The number of a literal, for all tensors.
  public init(floatLiteral value: Double) { self.init(value) }
  /// The number of a literal, for all tensors.
  public init(integerLiteral value: Int) { self.init(Double(value)) }
}
