import DiffFormat
import TensorCore
import TestSupport

/// A shape of elements of a packed type, known to be one.
func shape(_ extents: UInt64..., of type: ElementType) -> Shape {
  guard let shape = Shape(extents, of: type) else { preconditionFailure("no shape: \(extents)") }
  return shape
}

extension ValidVector {
  /// Packed types (section 4.4.1): every operation that they have, rows of whole units and others.
  static func packed() throws -> [ValidVector] {
    func bytes(_ shape: Shape, _ type: ElementType, _ factor: Int) -> [UInt8] {
      (0..<Int(shape.count) * type.width).map { UInt8(truncatingIfNeeded: $0 * factor) }
    }
    func whole(
      _ name: TensorName, _ operation: DiffOperation, _ type: ElementType, _ shape: Shape
    ) -> Contents.Tensor {
      let elements = bytes(shape, type, 7)
      let print = Fingerprint.of(type, shape, elements.span)
      let isNew = operation == .insert
      return .init(
        DiffEntry(
          name, operation, type, shape, base: isNew ? nil : print, result: isNew ? print : nil),
        Changes(whole: elements, width: type.width))
    }
    func changed(
      _ name: TensorName, _ operation: DiffOperation, _ type: ElementType, _ shape: Shape
    ) -> Contents.Tensor {
      exact(name, operation, type, shape, bytes(shape, type, 0), bytes(shape, type, 3))
    }
    let (f4, f6) = (ElementType.f4, ElementType.f6e2m3)
    // [3, 4] is [3, 2] in units, [2, 8] is [2, 4]: their box is [2, 2].
    let box = Contents.Tensor(
      DiffEntry("box", .reshape(to: shape(2, 8, of: f4)), f4, shape(3, 4, of: f4)),
      [
        .changes: Changes([1, 2], [5, 6]), .oldRemainder: Changes(whole: [1, 2], width: 1),
        .newRemainder: Changes(whole: [3, 4, 5, 6], width: 1),
      ])
    // Rows of three elements are not whole units: the unit shapes are vectors of three and two.
    let ragged = Contents.Tensor(
      DiffEntry("ragged", .reshape(to: shape(4, of: f4)), f4, shape(2, 3, of: f4)),
      [.changes: Changes([0], [9]), .oldRemainder: Changes(whole: [8], width: 1)])
    var column = Changes()
    for row in 0..<60 {
      for place in [3, 17] { column.positions.append(UInt64(row * 20 + place)) }
    }
    column.values = column.positions.map { UInt8(truncatingIfNeeded: $0) }
    return try [
      ValidVector(
        "packed-types",
        Contents([
          whole("a", .insert, f4, shape(2, 2, of: f4)), whole("b", .delete, f6, shape(8, of: f6)),
          changed("c", .xor, f4, shape(3, 3, 2, of: f4)),
          changed("d", .replace, f6, shape(2, 4, of: f6)),
          changed("e", .xor, .f6e3m2, shape(2, 2, of: .f6e3m2)),
          whole("none", .insert, f6, shape(0, 3, of: f6)),
          changed("w", .xor, .f32, shape(2)),
        ])),
      ValidVector("packed-reshape", Contents([box, ragged])),
      ValidVector("packed-columns", DiffEntry("w", .xor, f4, shape(60, 40, of: f4)), column),
      ValidVector("packed-ragged", DiffEntry("w", .xor, f4, shape(60, 41, of: f4)), column),
      ValidVector("packed-unused", handmade: try withoutPacked()),
    ]
  }

  /// The feature without a tensor that needs it, and a minor version that is newer than it.
  private static func withoutPacked() throws -> [UInt8] {
    var image = DiffImage(
      try Contents([.init(DiffEntry("w", .xor, .u8, shape(2)), Changes([1], [9]))]).encoded())
    image.header[10] = 2
    image.header[12] = 1
    return image.bytes
  }
}
