import SystemSupport
import TensorCore

/// Recognizes common files that are not checkpoints.
enum ForeignFile {
  /// Describes a file that is neither HDF5 nor safetensors, with a remedy; nil if its kind is
  /// unknown.
  static func description(of file: File) throws(DiffError) -> String? {
    let size = try file.size
    guard size > 0 else { return "an empty file" }
    let start = try file.bytes(at: 0, count: Int(min(512, size)))
    if start.starts(with: "PK\u{3}\u{4}".utf8) { return try archive(file, size) }
    if let what = WrappedFile.description(start) { return what }
    if let known = signatures.first(where: { start.starts(with: $0.signature) }) {
      return known.what
    }
    if start.dropFirst().starts(with: "DKF".utf8) { return "a diff, not a checkpoint" }
    let name = OutputFile.split(file.path).name
    if name.hasSuffix(".weights.json") { return kerasWeights }
    if name == "saved_model.pb" { return savedModel }
    if start[0] == UInt8(ascii: "{") { return "JSON, not weights; inspect its contents" }
    if start.count >= 16, start.allSatisfy({ $0 == 0 }) {
      return "begins with zeros only, like an interrupted download; download the file again"
    }
    return nil
  }

  private static let signatures: [(signature: [UInt8], what: String)] = [
    (
      Array("GGUF".utf8),
      "a GGUF file, which is not read; use the safetensors files that it was made from"
    ),
    (
      [0x93] + Array("NUMPY".utf8),
      "a NumPy array, which has no name; save it in a safetensors or HDF5 file"
    ),
    (
      [0x80], "a Python pickle, which is not read since it may run code; save it as safetensors"
    ),
  ]

  /// Describes a ZIP archive by the names in the directory at its end.
  private static func archive(_ file: File, _ size: UInt64) throws(DiffError) -> String {
    let count = min(size, 1 << 20)
    let names = names(inArchive: try file.bytes(at: size - count, count: Int(count)))
    let weights = names.filter { $0.hasSuffix(".weights.h5") }
    if let first = weights.first {
      return "a Keras 3 archive, which is not read; "
        + (weights.count == 1
          ? "to extract its weights: "
          : "its weights are in \(weights.joined(separator: ", ")), which are not read together; "
            + "to extract one of them: ")
        + "unzip -p FILE \(first) > \(first)"
    }
    if names.contains(where: { $0.hasSuffix("data.pkl") }) {
      return "a PyTorch archive, which is not read since it may run code; save the model as "
        + "safetensors"
    }
    if names.contains(where: { $0.hasSuffix(".npy") }) {
      return "a NumPy archive (.npz), which is not read; save the arrays as safetensors or HDF5"
    }
    return "a ZIP archive, which is not read; save the model as safetensors or as HDF5 weights"
  }

  /// Returns the names in the directory at the end of a ZIP archive.
  private static func names(inArchive end: [UInt8]) -> [String] {
    let headerSize = 46
    var names: [String] = []
    var at = 0
    while at + headerSize <= end.count {
      let header = end[at..<at + headerSize]
      guard header.starts(with: "PK\u{1}\u{2}".utf8) else {
        at += 1
        continue
      }
      let count: UInt16 = end.littleEndian(at: at + 28)
      let name = end[(at + headerSize)...].prefix(Int(count))
      names.append(String(decoding: name, as: UTF8.self))
      at += headerSize + name.count
    }
    return names
  }

  private static let savedModel =
    "a TensorFlow SavedModel, which is not read; save the weights as HDF5"
  private static let kerasWeights =
    "Keras weights in several files, which are not read together; name one of them"

  /// Describes a folder without safetensors files by the names in it; nil if its kind is unknown.
  static func description(ofFolder names: [String]) -> String? {
    func first(_ suffixes: String...) -> String? {
      names.first { name in suffixes.contains { name.hasSuffix($0) } }
    }
    if names.contains("saved_model.pb") {
      return savedModel
    }
    if first(".weights.json") != nil, first(".weights.h5") != nil {
      return kerasWeights
    }
    if let weights = first(".h5", ".hdf5", ".keras") {
      return "a folder without safetensors files, but with '\(weights)'; name that"
    }
    if first(".data-00000-of-00001", ".ckpt.index") != nil || names.contains("checkpoint") {
      return "a TensorFlow checkpoint, which is not read; save the weights as HDF5"
    }
    if let weights = first(".bin", ".pt", ".pth", ".ckpt") {
      return "a folder with PyTorch weights only ('\(weights)'), which are not read since they "
        + "may run code; save the model as safetensors"
    }
    if let weights = first(".gguf", ".msgpack", ".onnx", ".npz") {
      return "a folder without safetensors files; '\(weights)' is not read"
    }
    return nil
  }

  /// Returns whether a file of this name may hold weights.
  static func mayHoldWeights(_ name: String) -> Bool {
    let suffixes = [
      ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".keras", ".msgpack", ".gguf",
      ".onnx", ".npz",
    ]
    // Files that trainers save with a model.
    let states = [
      "training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt",
    ]
    return suffixes.contains(where: name.hasSuffix) && !states.contains(name)
      && !name.hasPrefix("rng_state")
  }
}
