import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// A file of arrays from another tool, open for reading.
struct ExchangeInput {
  private let path: String
  private let format: ExchangeFormat
  private let archive: NpzFile?
  private let checkpoint: (any Checkpoint)?
  /// The names of the arrays of each tensor, by their kind.
  private(set) var tensors: [TensorName: [String: TensorName]] = [:]

  /// - Throws: `mismatch` for arrays that are not of the format; the errors of opening a file.
  init(_ path: String, _ format: ExchangeFormat) throws(DiffError) {
    self.path = path
    self.format = format
    let names: [TensorName]
    switch format {
    case .cooNpz, .sftNpz:
      let file = try NpzFile(path)
      (archive, checkpoint) = (file, nil)
      names = file.names
    case .shira, .superTuning, .sparseHDF5:
      let file = try CheckpointFile.open(path)
      (archive, checkpoint) = (nil, file)
      names = file.tensors.map(\.name)
    }
    for name in names {
      guard let (tensor, kind) = format.parts(of: name) else {
        throw DiffError(
          .mismatch, "'\(name)' is not an array of format '\(format.rawValue)'", path: path)
      }
      guard tensors[tensor, default: [:]].updateValue(name, forKey: kind) == nil else {
        throw DiffError(.mismatch, "is stored twice", path: path, tensor: name)
      }
    }
    for (name, kinds) in tensors {
      guard Set(kinds.keys) == Set(format.kinds) || Set(kinds.keys) == ["head"] else {
        throw DiffError(
          .mismatch, "is missing arrays that format '\(format.rawValue)' requires", path: path,
          tensor: name)
      }
    }
  }

  /// True if some elements are smaller than a byte, which the header of a diff declares.
  var hasPackedElements: Bool { checkpoint?.tensors.contains { $0.type.unit > 1 } ?? false }

  /// Reads an array.
  func array(_ name: TensorName, _ kind: String) throws(DiffError) -> NumPyArray {
    let full = tensors[name]?[kind] ?? ""
    if let archive { return try archive.array(full) }
    guard let checkpoint, let stored = checkpoint.tensors.first(where: { $0.name == full }) else {
      throw DiffError(.mismatch, "has no '\(kind)'", path: path, tensor: name)
    }
    // HDF5 can state sizes of elements that are not stored; deflate expands a byte to at most 1
    // 032.
    let most = max(1 << 20, try File(checkpoint.files[stored.file]).size * 1032)
    guard stored.byteCount <= most else {
      throw DiffError(
        .limit, "states \(stored.byteCount) bytes, more than a file of this size holds", path: path,
        tensor: full)
    }
    var bytes = [UInt8](repeating: 0, count: Int(stored.byteCount))
    var span = bytes.mutableSpan
    try checkpoint.read(stored, at: 0, into: &span)
    return NumPyArray(stored.type, stored.shape, bytes)
  }

  /// Reads the changes of a tensor that has this shape in the base.
  ///
  /// - Throws: `mismatch` for another shape; `malformed` for positions that are duplicate or
  ///   outside the shape, arrays of different lengths, and types that the format does not have.
  func changes(_ name: TensorName, _ shape: Shape) throws(DiffError) -> ExchangedTensor {
    do throws(DiffError) {
      let values = try array(name, format.valuesName)
      let numbers = try values.floats()
      if !format.isAdapter {
        let stored = try array(name, format == .sftNpz ? "size" : "shape").integers()
        guard stored.elementsEqual(shape.extents.map { Int64(clamping: $0) }) else {
          throw DiffError(.mismatch, "was exported with the shape \(stored), not \(shape)")
        }
      }
      let positions = try positions(name, shape)
      guard positions.count == numbers.count else {
        throw DiffError(.malformed, "\(positions.count) positions, but \(numbers.count) values")
      }
      var order = positions.indices.sorted { positions[$0] < positions[$1] }
      // Adapters have a number of changes fixed by the shape; zeros change nothing.
      if format.isAdapter { order.removeAll { numbers[$0] == 0 } }
      let sorted = order.map { positions[$0] }
      for (one, next) in zip(sorted, sorted.dropFirst()) where one == next {
        throw DiffError(.malformed, "position \(one) is duplicated")
      }
      let runs = sorted.runs().map { start, offsets, indices in
        ChangeRun(at: start, offsets, order[indices].map { numbers[$0] })
      }
      return ExchangedTensor(name: name, shape: shape, type: values.type, runs: runs)
    } catch {
      throw error.at(path: path, tensor: name)
    }
  }

  /// Reads row-major positions in the order of the file.
  private func positions(_ name: TensorName, _ shape: Shape) throws(DiffError) -> [UInt64] {
    var positions: [UInt64] = []
    func add(_ position: UInt64) throws(DiffError) {
      guard position < shape.count else {
        throw DiffError(.malformed, "a position outside the tensor")
      }
      positions.append(position)
    }
    switch format {
    case .cooNpz, .sparseHDF5:
      for index in try array(name, "indices").integers() {
        try add(UInt64(exactly: index) ?? .max)
      }
    case .sftNpz:
      var last: Int64 = 0
      for (number, step) in try array(name, "index_steps").integers().enumerated() {
        let (next, overflow) = last.addingReportingOverflow(step)
        guard !overflow, next >= 0, number == 0 || step > 0, UInt64(next) < shape.count else {
          throw DiffError(.malformed, "a position outside the tensor, or steps backwards")
        }
        last = next
        try add(shape.rowMajor(UInt64(next)))
      }
    case .superTuning:
      for index in try array(name, "supertuning_indices").integers() {
        try add(UInt64(exactly: index) ?? .max)
      }
    case .shira:
      let indices = try array(name, "shira_indices")
      let numbers = try indices.integers()
      guard shape.extents.count == 2, indices.shape.extents.count == 2,
        indices.shape.extents[0] == 2
      else { throw DiffError(.malformed, "not the rows and columns of a matrix") }
      for (row, column) in zip(numbers[..<(numbers.count / 2)], numbers[(numbers.count / 2)...]) {
        guard let row = UInt64(exactly: row), let column = UInt64(exactly: column),
          row < shape.extents[0], column < shape.extents[1]
        else { throw DiffError(.malformed, "a position outside the tensor") }
        try add(row * shape.extents[1] + column)
      }
    }
    return positions
  }
}

extension ExchangeFormat {
  /// The kinds of the arrays of a tensor.
  fileprivate var kinds: [String] {
    switch self {
    case .cooNpz, .sparseHDF5: ["indices", "values", "shape"]
    case .sftNpz: ["size", "index_steps", "values"]
    case .shira: ["shira_indices", "shira_weight"]
    case .superTuning: ["supertuning_indices", "supertuning_values"]
    }
  }

  /// True if the format is an adapter of PEFT.
  var isAdapter: Bool { self == .shira || self == .superTuning }

  /// The kind of the array of values.
  fileprivate var valuesName: String {
    switch self {
    case .cooNpz, .sftNpz, .sparseHDF5: "values"
    case .shira: "shira_weight"
    case .superTuning: "supertuning_values"
    }
  }

  /// Returns the tensor that an array belongs to, and its kind.
  fileprivate func parts(of array: TensorName) -> (tensor: TensorName, kind: String)? {
    let array = array.description
    func cut(_ prefix: String, _ separator: String) -> (TensorName, String)? {
      for kind in kinds + (separator == "/" && prefix.isEmpty ? ["tensor"] : [])
      where array.hasPrefix(prefix) && array.hasSuffix(separator + kind) {
        let name = array.dropFirst(prefix.count).dropLast(kind.count + 1)
        return name.isEmpty ? nil : (TensorName(String(name)), kind == "tensor" ? "head" : kind)
      }
      return nil
    }
    switch self {
    case .cooNpz, .sparseHDF5: return cut("", "/")
    case .sftNpz:
      if array.hasPrefix("head/") { return (TensorName(String(array.dropFirst(5))), "head") }
      return cut("body/", "/")
    case .shira, .superTuning:
      let prefix = array.hasPrefix(ShiraAdapter.prefix) ? ShiraAdapter.prefix : ""
      if let (module, kind) = cut(prefix, ".") { return ("\(module).weight", kind) }
      // A tensor that PEFT trained whole. Tensors of other adapters are not heads.
      let own = ["lora_", "shira_", "supertuning_"]
      guard !prefix.isEmpty, !own.contains(where: { array.contains("." + $0) }) else { return nil }
      return (TensorName(String(array.dropFirst(prefix.count))), "head")
    }
  }
}

extension NumPyArray {
  /// Returns the elements of a float array.
  fileprivate func floats() throws(DiffError) -> [Double] {
    guard let float = type.float else {
      throw DiffError(.malformed, "values of type \(type), which is not a float type")
    }
    return Kernels.widened(bytes.span, float, 0)
  }

  /// Returns the elements of an integer array, or of a float array of integers, as PEFT stores
  /// positions on Windows.
  fileprivate func integers() throws(DiffError) -> [Int64] {
    let width = type.width
    switch type {
    case .i32, .i64, .u32, .i16, .u16, .u8, .i8:
      let isSigned = [.i32, .i16, .i8].contains(type)
      return (0..<bytes.count / width).map { index in
        let bits = bytes.span.littleEndian(at: index * width, width: width)
        let shift = UInt64(64 - 8 * width)
        return isSigned ? Int64(bitPattern: bits << shift) >> Int64(shift) : Int64(bitPattern: bits)
      }
    case .f32, .f64:
      var integers: [Int64] = []
      for number in try floats() {
        guard let integer = Int64(exactly: number) else {
          throw DiffError(.malformed, "positions that are not integers")
        }
        integers.append(integer)
      }
      return integers
    default: throw DiffError(.malformed, "positions of type \(type)")
    }
  }
}
