import Checkpoints
import DiffTraining
import TensorCore
import Testing
import TestSupport

/// The tensors of a file with PyTorch's results.
struct StoredNumbers {
  let checkpoint: any Checkpoint

  init(_ path: String) throws { checkpoint = try CheckpointFile.open(path) }

  func tensor(_ name: TensorName) throws -> StoredTensor {
    try #require(checkpoint.tensors.first { $0.name == name }, "no \(name)")
  }

  func floats(_ name: TensorName) throws -> [Float] {
    try bytes(name, .f32).map { Float(bitPattern: UInt32(truncatingIfNeeded: $0)) }
  }

  func integers(_ name: TensorName) throws -> [Int] {
    try bytes(name, .i64).map { Int(truncatingIfNeeded: $0) }
  }

  /// Returns the rows of a matrix of integers.
  func rows(_ name: TensorName) throws -> [[Int]] {
    let all = try integers(name)
    let width = Int(try tensor(name).shape.rowLength)
    return stride(from: 0, to: all.count, by: width).map { Array(all[$0..<$0 + width]) }
  }

  private func bytes(_ name: TensorName, _ type: ElementType) throws -> [UInt64] {
    let tensor = try tensor(name)
    try #require(tensor.type == type)
    let bytes = try checkpoint.bytes(of: tensor)
    return stride(from: 0, to: bytes.count, by: type.width).map { start in
      bytes[start..<start + type.width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }
}

/// Returns the largest difference of two lists of equal length.
func largestDifference(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
  a.count == b.count ? zip(a, b).map { abs($0 - $1) }.max() ?? 0 : .infinity
}

/// Returns |a − b| / |b|, with Euclidean norms in float64.
func relativeDifference(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Double {
  guard a.count == b.count else { return .infinity }
  let difference = zip(a, b).reduce(0.0) {
    $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1))
  }
  return (difference / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
}

extension FloatBuffer {
  /// Returns a range of the values.
  func elements(_ range: Range<Int>) -> [Float] {
    let span = self.span
    return range.map { span[$0] }
  }

  /// Overwrites values from an index on.
  func fill(_ elements: [Float], at start: Int) {
    var span = mutableSpan
    for (index, element) in elements.enumerated() { span[start + index] = element }
  }
}
