import Platform
import TensorCore
import TestSupport

/// Random checkpoints and finetunes of them.
struct RandomModel {
  var random: SplitMix64

  init(seed: Int) { random = SplitMix64(seed: UInt64(seed)) }

  static let shapes = [
    [], [0], [1], [7], [3, 4], [2, 0, 3], [5, 6, 7], [1, 1, 1, 1], [1000], [300, 41],
  ].compactMap { Shape($0) }

  /// A tensor of every type and shape.
  mutating func everything() -> [MemoryTensor] {
    ElementType.allCases.flatMap { type in
      Self.shapes.compactMap { $0.inUnits(of: type) }.map { shape in
        MemoryTensor(
          "\(type)/\(shape)", type, shape, random.bytes(Int(shape.count) * type.width))
      }
    }
  }

  /// Tensors of several blocks and windows of blocks, of odd sizes.
  mutating func large() -> [MemoryTensor] {
    let sizes: [(ElementType, Int)] = [
      (.u8, 9 << 20 + 13), (.f16, 1 << 19), (.f32, 1_500_001), (.f64, 1 << 17 + 1),
      (.f6e2m3, 1_500_001), (.bits40, 1 << 18 + 3),
    ]
    return sizes.map { type, count in
      // Random words of 64 bits: one byte at a time would take seconds.
      let words = (0..<count * type.width / 8 + 1).map { _ in random.next() }
      return MemoryTensor(
        "\(type)", type, Array(littleEndian(words).prefix(count * type.width)))
    }
  }

  /// The tensor with about `density` of its elements changed.
  mutating func tuned(_ tensor: MemoryTensor, density: Double) -> MemoryTensor {
    var tensor = tensor
    let width = tensor.type.width
    var element = 0
    let count = tensor.bytes.count / width
    while element < count {
      // Geometric gaps.
      let gap = density >= 1 ? 0 : Int(min(1e9, log(1 - random.unit()) / log(1 - density)))
      element += gap
      guard element < count else { break }
      tensor.bytes[element * width + Int.random(in: 0..<width, using: &random)] ^=
        UInt8.random(in: 1...255, using: &random)
      element += 1
    }
    return tensor
  }
}
