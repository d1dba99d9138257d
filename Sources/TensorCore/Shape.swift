/// The extents of a tensor, outermost first; row-major, as in HDF5, NumPy and safetensors.
public struct Shape: Sendable, Hashable, CustomStringConvertible {
  /// The maximum number of dimensions (HDF5 has the same limit).
  public static let maximumRank = 32

  /// The extent of each dimension; empty for a scalar.
  public let extents: [UInt64]
  /// The number of elements of a unit; see `ElementType.unit`.
  public let unit: Int
  /// The number of units: the product of the extents, 1 for a scalar, divided by `unit`.
  public let count: UInt64

  /// Creates a shape; nil if it has too many dimensions, or extents whose product, not counting
  /// zeros, is 2^60 or more.
  public init?(_ extents: [UInt64]) {
    guard extents.count <= Shape.maximumRank else { return nil }
    var count = ElementCount()
    for extent in extents {
      guard count.multiply(by: extent) else { return nil }
    }
    self.extents = extents
    self.count = count.value
    unit = 1
  }

  /// Creates the shape of a tensor of a type; nil also if its elements are not whole units.
  public init?(_ extents: [UInt64], of type: ElementType) {
    guard let shape = Shape(extents)?.inUnits(of: type) else { return nil }
    self = shape
  }

  /// Returns the same extents in the units of a type; nil if the elements are not whole units.
  public func inUnits(of type: ElementType) -> Shape? {
    let elements = count * UInt64(unit)
    guard elements % UInt64(type.unit) == 0 else { return nil }
    return Shape(extents: extents, unit: type.unit, count: elements / UInt64(type.unit))
  }

  private init(extents: [UInt64], unit: Int, count: UInt64) {
    (self.extents, self.unit, self.count) = (extents, unit, count)
  }

  /// The shape of a scalar: one element, no dimension.
  public static let scalar = Shape()

  private init() {
    self.init(extents: [], unit: 1, count: 1)
  }

  /// Creates a vector of `count` elements; traps at 2^60, which no memory or file can hold.
  package init(vector count: UInt64) {
    precondition(count < 1 << 60)
    self.init(extents: [count], unit: 1, count: count)
  }

  /// The extents of the tensor as an array of units; a vector if rows are not whole units.
  package var unitExtents: [UInt64] {
    guard unit > 1 else { return extents }
    guard let last = extents.last, last % UInt64(unit) == 0 else { return [count] }
    return extents.dropLast() + [last / UInt64(unit)]
  }

  /// The number of units of a row, which is the last extent; 1 for a scalar.
  public var rowLength: UInt64 { unitExtents.last ?? 1 }

  /// The extents in the form `[30522, 384]`.
  public var description: String { "[" + extents.map(String.init).joined(separator: ", ") + "]" }
}

/// A product of extents, limited to 2^60 regardless of the order of the factors.
package struct ElementCount {
  package private(set) var value: UInt64 = 1
  /// The product of the extents other than zero.
  private var bound: UInt64 = 1

  package init() {}

  /// Multiplies by an extent. Returns false if the product of the extents other than zero is 2^60
  /// or more; then the value must not be used.
  package mutating func multiply(by extent: UInt64) -> Bool {
    let (product, overflow) = bound.multipliedReportingOverflow(by: max(1, extent))
    bound = product
    value &*= extent
    return !overflow && product < 1 << 60
  }
}
