import TensorCore

/// The parameters of a model: named tensors that lie one after the other in flat buffers of
/// float32, one buffer each for values, gradients, moments, gates.
public struct ParameterLayout: Sendable, Hashable {
  /// A named tensor of the model.
  public struct Parameter: Sendable, Hashable {
    /// Its place in `parameters`.
    public let index: Int
    /// The name, as in the checkpoint.
    public let name: TensorName
    /// The extents, row-major.
    public let shape: Shape
    /// Whether it belongs to the task's head, which the base lacks: trained whole, never gated.
    public let isHead: Bool
    /// Whether it is a table of rows of which a batch reads a few: an embedding. Its gradient is
    /// zero but for the rows that `Gradients` names.
    public let isTable: Bool
    /// Where its elements lie in a flat buffer.
    public let range: Range<Int>
  }

  /// The parameters, in the order of the buffers.
  public private(set) var parameters: [Parameter] = []
  /// Floats in a flat buffer, the gaps that align the parameters included.
  public private(set) var count = 0

  /// Parameters begin at multiples of this many floats: a cache line. What lies in between stays
  /// zero.
  public static let alignment = 16

  /// A layout without parameters.
  public init() {}

  /// Appends a parameter.
  ///
  /// - Throws: `limit` for 2^32 elements or more, whose places a diff of a training cannot hold;
  ///   `mismatch` if there is one of that name.
  public mutating func append(
    _ name: TensorName, _ shape: Shape, isHead: Bool = false, isTable: Bool = false
  ) throws(DiffError) {
    guard shape.count < 1 << 32 else {
      throw DiffError(.limit, "too large to be trained: 2^32 elements or more", tensor: name)
    }
    guard !parameters.contains(where: { $0.name == name }) else {
      throw DiffError(.mismatch, "is there twice", tensor: name)
    }
    let range = count..<count + Int(shape.count)
    parameters.append(
      Parameter(
        index: parameters.count, name: name, shape: shape, isHead: isHead, isTable: isTable,
        range: range))
    count = (range.upperBound + Self.alignment - 1) / Self.alignment * Self.alignment
  }

  /// The parameter of a name. O(n).
  public subscript(name: TensorName) -> Parameter? { parameters.first { $0.name == name } }

  /// Elements of the parameters that are not of the head.
  public var bodyCount: Int {
    parameters.reduce(0) { $1.isHead ? $0 : $0 + $1.range.count }
  }
}
