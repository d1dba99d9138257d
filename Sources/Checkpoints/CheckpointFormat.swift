import SystemSupport
import TensorCore

/// A checkpoint format.
public enum CheckpointFormat: String, Sendable, CaseIterable {
  case hdf5
  case safetensors

  /// The format that corresponds to a file name's suffix, or nil.
  public init?(suffixOf path: String) {
    let name = OutputFile.split(path).name.lowercased()
    if [".h5", ".hdf5", ".he5", ".hdf"].contains(where: name.hasSuffix) {
      self = .hdf5
    } else if name.hasSuffix(".safetensors") {
      self = .safetensors
    } else {
      return nil
    }
  }

  /// The format of a file, detected from its first bytes.
  ///
  /// - Throws: `io`, or `notACheckpoint` with a description of the file.
  package init(contentsOf path: String) throws(DiffError) {
    let file = try File(path)
    let size = try file.size
    func bytes(at offset: UInt64, _ count: Int) throws(DiffError) -> [UInt8] {
      guard offset <= size else { return [] }
      return try file.bytes(at: offset, count: Int(min(UInt64(count), size - offset)))
    }
    // After a user block, HDF5's signature is at an offset that is a power of two.
    let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
    var offset: UInt64 = 0
    while offset < size {
      if try bytes(at: offset, 8) == signature {
        self = .hdf5
        return
      }
      offset = offset == 0 ? 512 : offset * 2
    }
    let start = try bytes(at: 0, 16)
    if start.count > 8, start[8] == UInt8(ascii: "{"), start[5...7].allSatisfy({ $0 == 0 }) {
      self = .safetensors
      return
    }
    throw DiffError(
      .notACheckpoint,
      try ForeignFile.description(of: file) ?? "neither HDF5 nor safetensors", path: path)
  }
}

extension Checkpoint {
  /// Refuses a name for a copy of this checkpoint that has the suffix of another format.
  ///
  /// - Throws: `usage`.
  package func requireFormat(ofSuffix output: String) throws(DiffError) {
    guard let format, let wanted = CheckpointFormat(suffixOf: output), wanted != format else {
      return
    }
    throw DiffError(
      .usage,
      "has the suffix of \(wanted.rawValue), but would be \(format.rawValue); use the same suffix, "
        + "and convert the file afterwards", path: output)
  }
}
