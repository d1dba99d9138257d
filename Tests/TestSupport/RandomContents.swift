import DiffFormat
import Kernels
import TensorCore

extension Contents {
  /// Returns a small diff of entries of any kind, determined by `random`.
  package static func random(_ random: inout SplitMix64) -> Contents {
    var metadata: [String: String] = [:]
    for _ in 0..<Int.random(in: 0...3, using: &random) {
      let value = String(
        decoding: random.bytes(Int.random(in: 0...9, using: &random)), as: UTF8.self)
      metadata["key\(random.next() % 100)"] = value
    }
    let tensors = (0..<Int.random(in: 0...4, using: &random)).map { index in
      Tensor.random("t\(index)", &random)
    }
    return Contents(metadata: metadata, tensors)
  }
}

extension Contents.Tensor {
  /// Returns a small entry of any operation and type.
  package static func random(_ name: TensorName, _ random: inout SplitMix64) -> Contents.Tensor {
    let types = ElementType.wholeBytes
    let type = types[Int.random(in: types.indices, using: &random)]
    let rows = Int.random(in: 0...40, using: &random)
    let columns = Int.random(in: 1...90, using: &random)
    let shape = Self.shape(rows, columns)
    func print() -> Fingerprint? {
      random.next() % 2 == 0 ? nil : Fingerprint(high: random.next(), low: random.next())
    }
    var entry = DiffEntry(name, .xor, type, shape)
    var streams: [DiffStream: Changes] = [:]
    switch random.next() % 6 {
    case 0:
      let floats: [FloatType] = [.f16, .bf16, .f32]
      let values = floats[Int.random(in: 0..<3, using: &random)]
      entry.operation = .add(values: values, scale: Int.random(in: -126...127, using: &random))
      entry.type = [.f16, .bf16, .f32, .f64][Int.random(in: 0..<4, using: &random)]
    case 1: entry.operation = .replace
    case 2: entry.operation = .insert
    case 3: entry.operation = .delete
    case 4:
      let newRows = Int.random(in: 0...40, using: &random)
      let new = Self.shape(newRows, columns + (newRows == rows ? 1 : 0))
      entry.operation = .reshape(to: new)
      let box = min(rows, newRows) * columns
      streams[.oldRemainder] = .whole(Int(shape.count) - box, type.width, &random)
      streams[.newRemainder] = .whole(Int(new.count) - box, type.width, &random)
      streams[.changes] = .sparse(min(rows, newRows), columns, type.width, &random)
    default: break
    }
    if streams.isEmpty {
      let isWhole = entry.operation == .insert || entry.operation == .delete
      streams[.changes] =
        isWhole
        ? .whole(rows * columns, entry.valueWidth, &random)
        : .sparse(rows, columns, entry.valueWidth, &random)
    }
    if entry.operation != .insert { entry.base = print() }
    if entry.operation != .delete { entry.result = print() }
    if entry.operation == .xor || entry.operation == .replace { entry.old = print() }
    return Contents.Tensor(entry, streams)
  }

  private static func shape(_ rows: Int, _ columns: Int) -> Shape {
    guard let shape = Shape([UInt64(rows), UInt64(columns)]) else {
      preconditionFailure("a small shape")
    }
    return shape
  }
}

extension Changes {
  /// Returns values that compress to different degrees.
  private static func values(_ count: Int, _ width: Int, _ random: inout SplitMix64) -> [UInt8] {
    let masks: [UInt8] = [0, 1, 7, 255]
    let planeMasks = (0..<width).map { _ in masks[Int.random(in: 0..<4, using: &random)] }
    return (0..<count * width).map {
      UInt8(truncatingIfNeeded: random.next()) & planeMasks[$0 % width]
    }
  }

  fileprivate static func whole(
    _ count: Int, _ width: Int, _ random: inout SplitMix64
  ) -> Changes {
    Changes(whole: values(count, width, &random), width: width)
  }

  fileprivate static func sparse(
    _ rows: Int, _ columns: Int, _ width: Int, _ random: inout SplitMix64
  ) -> Changes {
    let kinds = Clustering.allCases
    let positions = TestSupport.positions(
      kinds[Int.random(in: kinds.indices, using: &random)], rows: rows, columns: columns,
      density: [0.01, 0.1, 0.4, 1][Int.random(in: 0..<4, using: &random)], &random)
    return Changes(positions, values(positions.count, width, &random))
  }
}
