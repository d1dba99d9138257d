import StrictJSON
import TensorCore

extension SafeTensorsHeader.Item {
  /// Reads a member of the header.
  init(_ member: JSONValue.Member) throws(DiffError) {
    guard let dtype = member.value["dtype"]?.text, let extents = member.value["shape"]?.elements,
      let offsets = member.value["data_offsets"]?.elements, offsets.count == 2
    else {
      throw DiffError(.malformed, "needs 'dtype', 'shape' and 'data_offsets'")
    }
    let begin = try Self.number(offsets[0], "'data_offsets'")
    let end = try Self.number(offsets[1], "'data_offsets'")
    guard begin <= end else {
      throw DiffError(.malformed, "has its data_offsets reversed: from \(begin) to \(end)")
    }
    guard let bits = Self.bits[dtype] else {
      throw DiffError(.malformed, "has the unknown dtype '\(dtype)'")
    }
    guard extents.count <= Shape.maximumRank else {
      throw DiffError(
        .limit, "has \(extents.count) dimensions; at most \(Shape.maximumRank) are read")
    }
    var sides: [UInt64] = []
    for extent in extents { sides.append(try Self.number(extent, "'shape'")) }
    guard let shape = Shape(sides) else {
      throw DiffError(.malformed, "has an invalid shape: too many elements")
    }
    let (total, overflow) = shape.count.multipliedReportingOverflow(by: bits)
    guard !overflow, total % 8 == 0, total / 8 == end - begin else {
      throw DiffError(
        .malformed, "has \(end - begin) bytes, which are not those of \(dtype) \(shape)")
    }
    self.init(
      name: TensorName(member.name), type: Self.types[dtype], dtype: dtype, extents: shape.extents,
      range: begin..<end,
      others: (member.value.members ?? []).filter {
        !["dtype", "shape", "data_offsets"].contains($0.name)
      })
  }

  /// Returns a non-negative integer of the header.
  private static func number(_ value: JSONValue, _ what: String) throws(DiffError) -> UInt64 {
    if let number = value.unsigned { return number }
    guard case .number(let digits) = value else {
      throw DiffError(.malformed, "has a value in \(what) that is not a number")
    }
    let fault =
      digits.first == "-" ? "a negative number" : "a number that is fractional or too large"
    throw DiffError(.malformed, "has \(fault) in \(what): \(digits.prefix(40))")
  }

  /// The number of bits of an element, by `dtype`.
  private static let bits: [String: UInt64] = {
    var bits: [String: UInt64] = ["F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8]
    for (dtype, type) in types { bits[dtype] = UInt64(type.width * 8 / type.unit) }
    return bits
  }()

  /// The supported types, by `dtype`.
  static let types: [String: ElementType] = [
    "BOOL": .bool, "U8": .u8, "I8": .i8, "U16": .u16, "I16": .i16, "U32": .u32, "I32": .i32,
    "U64": .u64, "I64": .i64, "F16": .f16, "BF16": .bf16, "F32": .f32, "F64": .f64,
    "F8_E4M3": .f8e4m3, "F8_E5M2": .f8e5m2, "F8_E8M0": .f8e8m0, "C64": .c64,
    "F4": .f4, "F6_E2M3": .f6e2m3, "F6_E3M2": .f6e3m2,
  ]

  /// Returns the `dtype` of a type, or nil if the format does not have it.
  static func dtype(_ type: ElementType) -> String? { types.first { $0.value == type }?.key }
}

extension SafeTensorsHeader.Item {
  /// A new tensor whose `range` is not final: it starts at 0.
  ///
  /// - Throws: `unsupported` for types and names that the format does not support.
  init(_ name: TensorName, _ type: ElementType, _ shape: Shape) throws(DiffError) {
    guard let dtype = Self.dtype(type) else {
      throw DiffError(.unsupported, "safetensors has no type for \(type)", tensor: name)
    }
    guard name != "__metadata__" else {
      throw DiffError(.unsupported, "a name that safetensors reserves", tensor: name)
    }
    self.init(
      name: name, type: type, dtype: dtype, extents: shape.extents,
      range: 0..<shape.count * UInt64(type.width))
  }
}
