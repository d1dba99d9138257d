import Checkpoints
import SystemSupport
import TensorCore

/// What `convert` did.
public struct ConvertSummary: Sendable, Hashable {
  /// Tensors written.
  public var tensors = 0
  /// Bytes of their elements.
  public var bytes: UInt64 = 0
  /// What the source holds that is no tensor, and so was left out.
  public var skipped: [SkippedObject] = []
}

extension Checkpoint {
  /// Writes the tensors of a checkpoint as one of another format, elements bit for bit (in
  /// little-endian order). Between formats, names get the separator of the new one: '/' in HDF5,
  /// where names are paths, '.' in safetensors.
  ///
  /// A diff made on either checkpoint applies to the other.
  ///
  /// - Throws: `mismatch` if two names would become one; `unsupported` for names and types that the
  ///   format does not have; `exists`, `io`.
  /// - Complexity: O(bytes), in memory of a window of blocks.
  public func convert(
    to path: String, _ format: CheckpointFormat, overwriting: Bool = false,
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ConvertSummary {
    let stamps = InputStamps([self])
    let separator = UInt8(ascii: format == .hdf5 ? "/" : ".")
    var names: [TensorName: TensorName] = [:]
    var renamed: [(name: TensorName, type: ElementType, shape: Shape)] = []
    for tensor in tensors {
      try Blocks.check(tensor.type, tensor.name)
      let name = format == self.format ? tensor.name : tensor.name.key.spelled(with: separator)
      if let other = names.updateValue(tensor.name, forKey: name) {
        throw DiffError(
          .mismatch, "and '\(other)' would both be '\(name)'", path: self.path, tensor: tensor.name)
      }
      renamed.append((name, tensor.type, tensor.shape))
    }
    try FreeSpace.require(tensors.map(\.byteCount).clampedSum, at: path)
    let (output, stored) = try CheckpointFile.make(
      at: path, format, renamed, metadata: storedMetadata(of: self, format),
      overwriting: overwriting)
    var summary = ConvertSummary()
    summary.skipped = skipped
    if let attributes = try leftAttributes() { summary.skipped.append(attributes) }
    var progress = ProgressCounter(
      "convert", total: tensors.map(\.byteCount).clampedSum, handler)
    var rooms = [[UInt8]](repeating: [], count: Blocks.perWindow)
    for (tensor, target) in zip(tensors, stored) {
      try Blocks.forEachWindow(of: tensor.byteCount) { window throws(DiffError) in
        try parallelForEach(&rooms, count: window.count) { index, room throws(DiffError) in
          try read(tensor, window[index], into: &room)
          try output.write(room.span, to: target, at: window[index].lowerBound)
        }
        progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
      }
      summary.tensors += 1
      summary.bytes += tensor.byteCount
    }
    try stamps.check()
    try output.commit()
    return summary
  }
}

extension Checkpoint {
  /// The attributes of an HDF5 file that a new file does not get, as one object; nil if it gets all.
  fileprivate func leftAttributes() throws(DiffError) -> SkippedObject? {
    guard format == .hdf5 else { return nil }
    let facts = metadata
    let left = try otherContents().compactMap { content in
      content.name == "/" && facts[content.attribute ?? ""] != nil ? nil : content.attribute
    }
    guard !left.isEmpty else { return nil }
    let names = Set(left).sorted()
    let more = names.count > 5 ? ", …" : ""
    return SkippedObject(
      name: "attributes",
      reason: "\(left.count) of them: \(names.prefix(5).joined(separator: ", "))\(more)",
      mayHoldNumbers: false)
  }
}

/// The facts to store with the new file.
private func storedMetadata(
  of source: any Checkpoint, _ format: CheckpointFormat
) -> [String: String] {
  guard format == .safetensors, source.format != format else { return source.metadata }
  // Loaders of the transformers library want to be told how tensors are laid out.
  return source.metadata.merging(["format": "pt"]) { old, _ in old }
}
