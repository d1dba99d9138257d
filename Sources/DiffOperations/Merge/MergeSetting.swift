import TensorCore

/// A number of a merge, such as a weight: one for all tensors, except those with their own.
public struct MergeSetting: Sendable, Hashable {
  /// The number of every tensor without its own.
  public var usual: Double
  private var own: [TensorName.Key: Double] = [:]

  /// Creates a setting with one number for all tensors.
  public init(_ usual: Double) { self.usual = usual }

  /// The number of a tensor; '/' and '.' are the same separator.
  public subscript(tensor: TensorName) -> Double {
    get { self[tensor.key] }
    set { own[tensor.key] = newValue }
  }

  subscript(key: TensorName.Key) -> Double { own.isEmpty ? usual : own[key] ?? usual }

  /// True if all tensors have the same number.
  public var isUniform: Bool { own.values.allSatisfy { $0 == usual } }

  /// All numbers of the setting.
  var numbers: [Double] { [usual] + own.values }

  /// The numbers by which settings are ordered: the usual one, then those of tensors by name.
  var order: [Double] { [usual] + own.sorted { $0.key < $1.key }.map(\.value) }
}

extension MergeSetting: ExpressibleByFloatLiteral, ExpressibleByIntegerLiteral {
  /// The number of a literal, for all tensors.
  public init(floatLiteral value: Double) { self.init(value) }
  /// The number of a literal, for all tensors.
  public init(integerLiteral value: Int) { self.init(Double(value)) }
}
