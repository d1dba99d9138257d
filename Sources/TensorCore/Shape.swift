/// The extents of a tensor, outermost first; row-major, as in HDF5, NumPy and safetensors.
public struct Shape: Sendable, Hashable, CustomStringConvertible {
  /// The most dimensions a tensor may have (HDF5 has the same limit).
  public static let maximumRank = 32

  /// The extent of each dimension; empty for a scalar.
  public let extents: [UInt64]
  /// The product of the extents: 1 for a scalar.
  public let count: UInt64

  /// A shape, or nil if it has too many dimensions or 2^60 elements or more.
  public init?(_ extents: [UInt64]) {
    guard extents.count <= Shape.maximumRank else { return nil }
    var count: UInt64 = 1
    for extent in extents where count != 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product < 1 << 60 else { return nil }
      count = product
    }
    // The bound holds for each extent too, even where another one is zero.
    guard extents.allSatisfy({ $0 < 1 << 60 }) else { return nil }
    self.extents = extents
    self.count = extents.contains(0) ? 0 : count
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
