import DiffFormat
import TensorCore
import TestSupport

extension InvalidVector {
  /// Packed types (section 4.4.1).
  static func packed() throws -> [InvalidVector] {
    let type = ElementType.f4
    let old = shape(2, of: type)
    let image = DiffImage(
      try Contents([
        .init(DiffEntry("a", .xor, type, old), Changes([0], [1])),
        .init(
          DiffEntry("b", .reshape(to: shape(4, of: type)), type, old),
          [.newRemainder: Changes([0], [1])]),
      ]).encoded())
    return [
      index("packed-unannounced", image, at: "0.type", "a packed type without its feature") {
        $0.header[12] = 0
      },
      index("packed-type-21", image, at: "0.type", "element type 21, packed types being known") {
        $0["0.type"] = [21]
      },
      index("packed-part-of-unit", image, at: "0.rank", "three elements of two in a unit") {
        $0["0.extent.0"] = [3]
      },
      index("packed-scalar", image, at: "0.rank", "a scalar, which is half a unit") {
        $0["0.rank"] = [0]
        $0["0.extent.0"] = []
      },
      index("packed-new-part-of-unit", image, at: "1.new.rank", "a new shape of five elements") {
        $0["1.new.extent.0"] = [5]
      },
      index("packed-past-tensor", image, at: "0.changes.0.skip", "a change behind the only unit") {
        $0["0.changes.0.skip"] = [1]
      },
      index("packed-add", image, at: "0.rank", plus: 2, "an addition to elements of 4 bits") {
        $0["0.operation"] = [1]
      },
      InvalidVector(
        "packed-and-unknown-feature", edited(image) { $0.header[12] = 3 }, .unsupportedFeature,
        at: 12, "incompatible features 0 and 1"),
    ]
  }

  private static func edited(_ image: DiffImage, _ edit: (inout DiffImage) -> Void) -> [UInt8] {
    var image = image
    edit(&image)
    return image.bytes
  }
}
