import Checkpoints
import TensorCore

extension Checkpoint {
  /// Returns all bytes of a tensor, read in blocks of at most `blockSize` elements.
  package func bytes(of tensor: StoredTensor, blockSize: Int = 1 << 20) throws(DiffError) -> [UInt8]
  {
    var all: [UInt8] = []
    let step = UInt64(blockSize * tensor.type.width)
    for offset in stride(from: 0, to: tensor.byteCount, by: Int(step)) {
      var block = [UInt8](repeating: 0, count: Int(min(step, tensor.byteCount - offset)))
      var span = block.mutableSpan
      try read(tensor, at: offset, into: &span)
      all += block
    }
    return all
  }

  /// The tensor of a name, or nil.
  package subscript(name: TensorName) -> StoredTensor? { tensors.first { $0.name == name } }
}

extension CheckpointOutput {
  /// Changes elements of a checkpoint in place, all of a range.
  package func patch(
    _ bytes: Span<UInt8>, of tensor: StoredTensor, at offset: UInt64, in source: any Checkpoint
  ) throws(DiffError) {
    var old = [UInt8](repeating: 0, count: bytes.count)
    var span = old.mutableSpan
    try source.read(tensor, at: offset, into: &span)
    let positions = Array(0..<UInt32(bytes.count / tensor.type.width))
    try write(bytes, to: tensor, at: offset, changing: positions.span, from: old.span)
  }
}
