import DiffFormat
import TensorCore
import TestSupport

extension ValidVector {
  /// Each operation, with true fingerprints where it has any.
  static func operations() throws -> [ValidVector] {
    let old: [UInt8] = Array(0..<60)
    var new = old
    for i in [4, 5, 6, 20, 36, 37, 59] { new[i] ^= 0x81 }
    let matrix = shape(5, 6)
    let whole = Changes(whole: Array(old[..<48]), width: 4)
    let three = shape(3, 4)
    let print = Fingerprint.of(.f32, three, old.span.extracting(0..<48))
    return try [
      ValidVector("empty", Contents([])),
      ValidVector("add", additions()),
      ValidVector("replace", Contents([exact("w", .replace, .u16, matrix, old, new)])),
      ValidVector("xor", Contents([exact("w", .xor, .bf16, matrix, old, new)])),
      ValidVector("insert", DiffEntry("head", .insert, .f32, three, result: print), whole),
      ValidVector("delete", DiffEntry("head", .delete, .f32, three, base: print), whole),
      ValidVector("reshape", reshapes()),
      ValidVector(
        "no-fingerprints",
        Contents([
          .init(
            DiffEntry("a", .add(values: .f16, scale: 0), .f16, .scalar), Changes([0], [0, 60])),
          .init(DiffEntry("d", .delete, .u8, shape(2)), Changes([0, 1], [1, 2])),
          .init(DiffEntry("i", .insert, .u8, shape(2)), Changes([0, 1], [1, 2])),
          .init(DiffEntry("r", .replace, .u8, shape(2)), Changes([1], [3])),
          .init(DiffEntry("x", .xor, .u8, shape(2)), Changes([0], [0])),
        ])),
    ]
  }

  /// Every value type on every tensor type, with the scales at both ends.
  private static func additions() -> Contents {
    var tensors: [Contents.Tensor] = []
    let base = Fingerprint(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)
    for type in [FloatType.bf16, .f16, .f32, .f64] {
      let scales = type == .f64 ? [-1022, 0, 1023] : [-126, -1, 127]
      for values in [FloatType.bf16, .f16, .f32] {
        for scale in scales {
          let entry = DiffEntry(
            "\(type)/\(values)/\(scale + 4000)", .add(values: values, scale: scale),
            type.elementType, shape(2, 8), base: scale == 0 ? nil : base)
          let bytes = (0..<3 * values.width).map { UInt8($0 * 15 + 60) }
          tensors.append(.init(entry, Changes([1, 5, 15], bytes)))
        }
      }
    }
    return Contents(tensors)
  }

  private static func reshapes() -> Contents {
    /// Changes inside the box, and as many elements in both remainders as there must be.
    func reshape(
      _ name: TensorName, _ old: Shape, _ new: Shape, _ positions: [UInt64], _ outside: (Int, Int)
    ) -> Contents.Tensor {
      let print = Fingerprint(high: UInt64(outside.0), low: UInt64(outside.1))
      let entry = DiffEntry(name, .reshape(to: new), .u16, old, base: print, result: print)
      func bytes(_ count: Int, _ factor: Int) -> [UInt8] {
        (0..<2 * count).map { UInt8(truncatingIfNeeded: $0 * factor + 1) }
      }
      return .init(
        entry,
        [
          .changes: Changes(positions, bytes(positions.count, 3)),
          .oldRemainder: Changes(whole: bytes(outside.0, 5), width: 2),
          .newRemainder: Changes(whole: bytes(outside.1, 7), width: 2),
        ])
    }
    return Contents([
      reshape("both", shape(2, 3), shape(3, 2), [2], (2, 2)),
      reshape("cube", shape(2, 3, 4), shape(3, 3, 2), [0, 11], (12, 6)),
      reshape("empty", shape(0, 3), shape(2, 3), [], (0, 6)),
      reshape("grow", shape(3, 4), shape(5, 4), [0, 1, 11], (0, 8)),
      reshape("rank", shape(6), shape(2, 3), [], (6, 6)),
      reshape("same", shape(6, 0), shape(0, 6), [], (0, 0)),
      reshape("scalar", .scalar, shape(1), [], (1, 1)),
      reshape("shrink", shape(5, 4), shape(3, 2), [5], (14, 0)),
      reshape("unchanged", shape(2, 2), shape(2, 3), [], (0, 2)),
    ])
  }
}
