/// The type of a tensor's elements. Raw values are the codes of the file format.
public enum ElementType: UInt8, Sendable, Hashable, CaseIterable {
  case bool = 1
  case u8 = 2
  case i8 = 3
  case u16 = 4
  case i16 = 5
  case u32 = 6
  case i32 = 7
  case u64 = 8
  case i64 = 9
  case f16 = 10
  case bf16 = 11
  case f32 = 12
  case f64 = 13
  case f8e4m3 = 14
  case f8e5m2 = 15
  case f8e8m0 = 16
  case c64 = 17
  case f4 = 18
  case f6e2m3 = 19
  case f6e3m2 = 20
  case bits8 = 33
  case bits16 = 34
  case bits24 = 35
  case bits32 = 36
  case bits40 = 37
  case bits48 = 38
  case bits56 = 39
  case bits64 = 40

  /// The number of elements of a unit, which are changed together: the smallest number that takes
  /// whole bytes. 1 except for types of 4 and 6 bits.
  public var unit: Int {
    switch self {
    case .f4: 2
    case .f6e2m3, .f6e3m2: 4
    default: 1
    }
  }

  /// The number of bytes of a unit, 1 to 8; for most types a unit is an element.
  public var width: Int {
    switch self {
    case .bool, .u8, .i8, .f8e4m3, .f8e5m2, .f8e8m0, .f4, .bits8: 1
    case .u16, .i16, .f16, .bf16, .bits16: 2
    case .f6e2m3, .f6e3m2, .bits24: 3
    case .u32, .i32, .f32, .bits32: 4
    case .bits40: 5
    case .bits48: 6
    case .bits56: 7
    case .u64, .i64, .f64, .c64, .bits64: 8
    }
  }

  /// The name in output, such as `f32`.
  public var name: String { "\(self)" }

  /// The float type in which additive changes are calculated; nil for types without additions.
  public var float: FloatType? {
    switch self {
    case .f16: .f16
    case .bf16: .bf16
    case .f32: .f32
    case .f64: .f64
    default: nil
    }
  }
}

/// A floating-point type that diffkit calculates with.
public enum FloatType: Int32, Sendable, Hashable, CaseIterable {
  case f16 = 0
  case bf16 = 1
  case f32 = 2
  case f64 = 3

  /// The element type of the same name.
  public var elementType: ElementType {
    switch self {
    case .f16: .f16
    case .bf16: .bf16
    case .f32: .f32
    case .f64: .f64
    }
  }

  /// The number of bytes of a value.
  public var width: Int { elementType.width }

  /// The smallest nonzero magnitude of the type.
  package var leastMagnitude: Double {
    switch self {
    case .f16: 0x1p-24
    case .bf16: 0x1p-133
    case .f32: 0x1p-149
    case .f64: .leastNonzeroMagnitude
    }
  }

  /// The smallest magnitude that becomes infinite when it is rounded to this type.
  package var overflow: Double {
    switch self {
    case .f16: 65520
    case .bf16: 0x1.FFp127
    case .f32: 0x1.FFFFFFp127
    case .f64: .infinity
    }
  }
}
