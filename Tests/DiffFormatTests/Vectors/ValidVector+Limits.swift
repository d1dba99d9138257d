import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// Pages at limits of section 12.
  static func limits() throws -> [ValidVector] {
    let ends = Handmade.gaps([0, (1 << 32) - 2])
    let whole = (rows: UInt64(65_537), columns: UInt64(65_535))
    let broad = (rows: UInt64(65_535), columns: UInt64(65_536))
    /// The first and the last element of a matrix.
    func corners(
      _ name: String, _ matrix: (rows: UInt64, columns: UInt64), _ code: UInt8,
      _ positions: [UInt8]
    ) throws -> ValidVector {
      let bed = Bed(shape(matrix.rows, matrix.columns), [0, matrix.rows * matrix.columns - 1])
      return ValidVector(
        name, handmade: try bed.file(Handmade.page(code, positions, [1, 7])))
    }
    let hotRow = hex("01 03 00 00 01 00")
    // Code, three bytes for the size of the positions, two for the plane.
    let bitmap = (1 << 20) - 6
    let last = UInt64(8 * bitmap - 1)
    return try [
      corners("columns-2-32-less-one", whole, 0x11, Handmade.rice(ends, least: 31)),
      corners("panels-2-32-less-one", whole, 0x21, hotRow + Handmade.rice(ends, least: 31)),
      corners(
        "panels-65536", broad, 0x22,
        hotRow
          + Handmade.packed(Handmade.gaps([0, broad.rows * broad.columns - 1]), widths: [32])),
      ValidVector(
        "page-2-20",
        handmade: Bed(shape(1 << 24), [0, last]).file(
          Handmade.page(3, [1] + [UInt8](repeating: 0, count: bitmap - 2) + [128], [1, 7]))),
    ]
  }
}
