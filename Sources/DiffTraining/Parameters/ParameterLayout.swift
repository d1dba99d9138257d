import TensorCore

/// The parameters of a model: named tensors, stored one after the other in flat buffers of float32,
/// one buffer each for values, gradients, moments, gates.
public struct ParameterLayout: Sendable, Hashable {
  /// A named tensor of the model.
  public struct Parameter: Sendable, Hashable {
    /// Its index in `parameters`.
    public let index: Int
    /// The name, as in the checkpoint.
    public let name: TensorName
    /// The extents, row-major.
    public let shape: Shape
    /// True if it belongs to the task's head, which the base lacks: trained whole, never gated.
    public let isHead: Bool
    /// True if it is a table of rows of which a batch reads a few: an embedding. Its gradient is
    /// zero except in the rows that `Gradients` records.
    public let isTable: Bool
    /// The positions of its elements in a flat buffer.
    public let range: Range<Int>
  }

  /// The parameters, in the order of the buffers.
  public private(set) var parameters: [Parameter] = []
  /// The number of floats in a flat buffer, including the gaps that align the parameters.
  public private(set) var count = 0

  /// The number of floats, a cache line, at whose multiples parameters begin. The gaps between them
  /// stay zero.
  public static let alignment = 16

  /// Creates a layout without parameters.
  public init() {}

  /// Appends a parameter.
  ///
  /// - Throws: `limit` for 2^32 elements or more, whose positions a diff of a training cannot hold;
  ///   `mismatch` if there is one of that name.
  public mutating func append(
    _ name: TensorName, _ shape: Shape, isHead: Bool = false, isTable: Bool = false
  ) throws(DiffError) {
    guard shape.count < 1 << 32 else {
      throw DiffError(.limit, "is too large to train: 2^32 elements or more", tensor: name)
    }
    guard !parameters.contains(where: { $0.name == name }) else {
      throw DiffError(.mismatch, "occurs twice", tensor: name)
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

  /// The number of elements of the parameters that are not of the head.
  public var bodyCount: Int {
    parameters.reduce(0) { $1.isHead ? $0 : $0 + $1.range.count }
  }
}
