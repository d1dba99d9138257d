import Checkpoints
import TensorCore

/// Copies an HDF5 checkpoint whose names have three parts, with a suffix for the second of them, as
/// Keras 2 gives to the layers of another network: `rnn/rnn/kernel:0` becomes `rnn/rnn_3/kernel:0`.
package func copy(_ source: any Checkpoint, to path: String, suffix: String) throws {
  let output = try source.makeOutput(at: path, rewriting: [], overwriting: false)
  for tensor in source.tensors {
    let bytes = try source.bytes(of: tensor)
    try output.delete(tensor)
    let parts = tensor.name.description.split(separator: "/")
    let renamed = try output.insert(
      "\(parts[0])/\(parts[1])\(suffix)/\(parts[2])", tensor.type, tensor.shape)
    try output.write(bytes.span, to: renamed, at: 0)
  }
  try output.commit()
}
