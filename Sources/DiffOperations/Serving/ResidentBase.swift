import Checkpoints
import DiffFormat
import TensorCore

/// The base of a model in memory, without the attached diff. Exists only while the model's lock is
/// held.
final class ResidentBase: Checkpoint {
  let model: ResidentModel
  let attached: PreparedDiff?

  init(_ model: ResidentModel) {
    self.model = model
    attached = model.served.diff
  }

  var path: String { model.path }
  var format: CheckpointFormat? { model.format }
  var metadata: [String: String] { model.metadata }
  var tensors: [StoredTensor] { model.tensors }

  func read(
    _ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>
  ) throws(DiffError) {
    try model.read(tensor, at: offset, into: &buffer)
    guard let bytes = model.bytes(of: tensor), let patch = attached?.patch(of: bytes) else {
      return
    }
    let width = tensor.type.width
    var run = ChangeRun<UInt8>(
      at: offset / UInt64(width), Array(0..<UInt32(buffer.count / width)))
    run.values.append(copying: buffer.span)
    patch.restore(&run)
    buffer.copy(run.values.span)
  }

  func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    try model.makeOutput(
      at: path, rewriting: rewriting, changing: changing, overwriting: overwriting)
  }
}
