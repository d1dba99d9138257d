import Checkpoints
import Kernels
import Platform
import SystemSupport
import TensorCore

/// A large base of random weights and its finetunes, in one format.
struct LargeFiles {
  let type: ElementType
  let format: CheckpointFormat
  let folder: String

  /// The size of each file.
  var gigabytes = usual

  /// The value of DIFFKIT_BENCHMARK_GB, or 4.
  static let usual =
    unsafe getenv("DIFFKIT_BENCHMARK_GB").flatMap { unsafe Double(String(cString: $0)) } ?? 4

  private static let tensors = 8
  private static let columns: UInt64 = 4096

  var base: String { path("base") }

  func path(_ name: String) -> String {
    folder + "/" + name + (format == .hdf5 ? ".h5" : ".safetensors")
  }

  /// Writes the base: magnitudes between 2⁻⁷ and 2⁻⁶, random mantissas.
  func makeBase() throws {
    let rows = UInt64(gigabytes * 1e9) / UInt64(Self.tensors * type.width) / Self.columns
    guard let shape = Shape([rows, Self.columns]) else { return }
    let separator = format == .hdf5 ? "/" : "."
    let (output, tensors) = try CheckpointFile.make(
      at: base, format,
      (0..<Self.tensors).map { ("layer\(separator)\($0)\(separator)weight", type, shape) })
    let (keep, set): (UInt64, UInt64) =
      type == .f32
      ? (0x807F_FFFF_807F_FFFF, 0x3C00_0000_3C00_0000)
      : (0x807F_807F_807F_807F, 0x3C00_3C00_3C00_3C00)
    var random = SplitMix64(seed: 11)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1 << 20)
    for tensor in tensors {
      for start in stride(from: UInt64(0), to: tensor.byteCount, by: 1 << 20) {
        bytes.removeAll(keepingCapacity: true)
        let count = Int(min(1 << 20, tensor.byteCount - start))
        while bytes.count < count { bytes.append(littleEndian: random.next() & keep | set) }
        try output.write(bytes.span, to: tensor, at: start)
      }
    }
    try output.commit()
  }

  /// Copies the base and changes the low bits of elements, as a small training step does.
  ///
  /// - Parameter hotRows: True to change whole rows instead of random elements.
  func makeTuned(_ name: String, density: Double, hotRows: Bool) throws {
    try SideBySide.child("cp", [base, path(name)])
    let file = try File(path(name), writable: true)
    let block: UInt64 = 1 << 20
    var bytes = [UInt8](repeating: 0, count: Int(block))
    for (number, tensor) in try CheckpointFile.open(base).tensors.enumerated() {
      guard case .contiguous(let offset) = tensor.storage else { continue }
      let positions = positions(tensor, density, hotRows, seed: 12 + UInt64(number))
      var next = 0
      while next < positions.count {
        let start = positions[next] * UInt64(type.width) / block * block
        let count = min(block, tensor.byteCount - start)
        if bytes.count != Int(count) { bytes = [UInt8](repeating: 0, count: Int(count)) }
        var span = bytes.mutableSpan
        try file.read(at: offset + start, into: &span)
        while next < positions.count {
          let at = positions[next] * UInt64(type.width)
          guard at < start + count else { break }
          bytes[Int(at - start)] ^= UInt8(1 + positions[next] % 63)
          next += 1
        }
        try file.write(bytes.span, at: offset + start)
      }
    }
    try file.sync()
  }

  private func positions(
    _ tensor: StoredTensor, _ density: Double, _ hotRows: Bool, seed: UInt64
  ) -> [UInt64] {
    guard hotRows else { return uniformPositions(tensor.shape.count, density: density, seed: seed) }
    let rows = uniformPositions(tensor.shape.count / Self.columns, density: density, seed: seed)
    return rows.flatMap { row in (0..<Self.columns).map { row * Self.columns + $0 } }
  }
}
