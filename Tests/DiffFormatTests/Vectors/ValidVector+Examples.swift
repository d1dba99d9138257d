import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// The examples of `spec/FORMAT.md`, section 5, byte for byte.
  static func examples() throws -> [ValidVector] {
    try [
      ValidVector("spec-bitmap", handmade: Bed.bitmap.file("03 02 5B 02 01 07")),
      ValidVector("spec-rice", handmade: Bed.gaps.file("01 06 02 00 08 02 47 10 01 07")),
      ValidVector("spec-bp128", handmade: Bed.gaps.file("02 05 05 40 00 66 01 01 07")),
      ValidVector(
        "spec-columns", handmade: Bed.matrix.file("11 04 00 00 78 12 00 01 02 03 04 05 06")),
      ValidVector(
        "spec-panels",
        handmade: Bed.matrix.file(
          "21 0F 01 04 01 00 00 01 01 04 01 00 01 01 00 00 7D 00 01 02 03 04 05 06")),
      ValidVector(
        "spec-planes",
        handmade: Bed.planes.file(
          """
          00 00 00 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F 01 00 01 00
          02 0A B3 B7 07 83 FD FB 21 B4 3D 00
          """)),
      ValidVector("spec-whole-file", handmade: wholeFile),
    ]
  }

  private static let wholeFile = hex(
    """
    89 44 4b 46 0d 0a 1a 0a 01 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 89 48 aa af 6a 09 67 79
    11 04 00 00 78 12 00 01 02 03 04 05 06 01 04 74
    61 73 6b 04 73 73 74 32 01 03 02 07 01 77 02 04
    05 c9 31 c0 bb 43 7a f0 fa db 8c 4e 80 e8 cc fa
    d9 ad 9c 4b 9f da b2 6f e1 e8 88 02 63 04 ca da
    79 51 e9 84 c6 4a 05 44 61 82 80 f6 eb 32 f2 1b
    e4 01 06 0b 06 0d 41 40 90 25 f3 9c be 1e 00 52
    00 00 00 00 00 00 00 af 00 00 00 00 00 00 00 1b
    5f 43 f4 e1 37 6d d3 7b 80 b3 0e 2a 04 86 42 5c
    e1 8c b1 20 7a 54 71 0a 1a 0a 0d 46 4b 44 89
    """)
}

/// A file of one page whose bytes are to be replaced, for tests of pages.
struct Bed: Sendable {
  let type: ElementType
  let shape: Shape
  let positions: [UInt64]

  init(_ shape: Shape, _ positions: [UInt64], _ type: ElementType = .u8) {
    (self.type, self.shape, self.positions) = (type, shape, positions)
  }

  /// Start 10, span 10, count 6.
  static let bitmap = Bed(TestShape.row, [10, 11, 13, 14, 16, 19])
  /// Start 10, span 41, count 5, gaps 0, 2, 0, 12, 22.
  static let gaps = Bed(TestShape.row, [10, 13, 14, 27, 50])
  /// Start 6, span 11, count 6; the rows 1 to 3 of a matrix of four rows and five columns.
  static let matrix = Bed(TestShape.matrix, [6, 7, 8, 9, 11, 16])
  /// Sixteen elements of four bytes.
  static let planes = Bed(TestShape.sixteen, Array(0..<16), .i32)
  /// Every second of 299 elements: two blocks of gaps, 128 and 22, of which all but the first
  /// are 1.
  static let blocks = Bed(TestShape.long, (0..<150).map { $0 * 2 })

  /// The file with the page as written.
  func image() throws -> DiffImage {
    let values = [UInt8](repeating: 7, count: positions.count * type.width)
    return DiffImage(
      try Contents([.init(DiffEntry("w", .replace, type, shape), Changes(positions, values))])
        .encoded())
  }

  /// The file with another page.
  func file(_ page: [UInt8]) throws -> [UInt8] {
    var image = try image()
    image.setPage(0, page)
    return image.bytes
  }

  func file(_ page: String) throws -> [UInt8] { try file(hex(page)) }
}

enum TestShape {
  static let row = shape(100)
  static let matrix = shape(4, 5)
  static let sixteen = shape(16)
  static let long = shape(300)
}
