/// The extents of a tensor, outermost first; row-major, as in HDF5, NumPy and safetensors.
public struct Shape: Sendable, Hashable, CustomStringConvertible {
  /// The most dimensions a tensor may have (HDF5 has the same limit).
  public static let maximumRank = 32

  /// The extent of each dimension; empty for a scalar.
  public let extents: [UInt64]
  /// The product of the extents: 1 for a scalar.
  public let count: UInt64

  /// A shape, or nil if it has too many dimensions, or extents (zeros aside) whose product
  /// reaches 2^60.
  public init?(_ extents: [UInt64]) {
    guard extents.count <= Shape.maximumRank else { return nil }
    var count = ElementCount()
    for extent in extents {
      guard count.multiply(by: extent) else { return nil }
    }
    self.extents = extents
    self.count = count.value
  }

  /// The shape of a scalar: one element, no dimension.
  public static let scalar = Shape()

  private init() {
    extents = []
    count = 1
  }

  /// A vector of `count` elements; traps at 2^60, which no memory or file can hold.
  package init(vector count: UInt64) {
    precondition(count < 1 << 60)
    extents = [count]
    self.count = count
  }

  /// The length of a row, that is the last extent; 1 for a scalar.
  public var rowLength: UInt64 { extents.last ?? 1 }

  /// `[30522, 384]`.
  public var description: String { "[" + extents.map(String.init).joined(separator: ", ") + "]" }
}

/// A product of extents in the making, bounded by 2^60 whatever the order of the factors.
package struct ElementCount {
  package private(set) var value: UInt64 = 1
  /// The product of the extents other than zero.
  private var bound: UInt64 = 1

  package init() {}

  /// False, and of no further use, if the extents other than zero multiply to 2^60 or more.
  package mutating func multiply(by extent: UInt64) -> Bool {
    let (product, overflow) = bound.multipliedReportingOverflow(by: max(1, extent))
    bound = product
    value &*= extent
    return !overflow && product < 1 << 60
  }
}
