import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// The result of `convert`.
public struct ConvertSummary: Sendable, Hashable {
  /// The number of tensors written.
  public var tensors = 0
  /// The size of their elements in bytes.
  public var bytes: UInt64 = 0
  /// The number of tensors whose float type changed, and of their elements that became infinite.
  public var converted = 0, infinite: UInt64 = 0
  /// The contents of the source that were left out.
  public var skipped: [SkippedObject] = []
}

extension Checkpoint {
  /// Writes the tensors of a checkpoint in another format, elements bit for bit (in little-endian
  /// order). Between formats, names get the separator of the new one: '/' in HDF5, where names are
  /// paths, '.' in safetensors.
  ///
  /// A diff made on either checkpoint applies to the other, unless types are changed.
  ///
  /// - Parameters:
  ///   - path: the path of the new file.
  ///   - format: the format of the file.
  ///   - wanted: the type to convert all float tensors to, each element rounded to nearest even;
  ///     nil to keep the types.
  ///   - except: the tensors to leave out.
  ///   - overwriting: whether an existing file may be replaced.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: `mismatch` if two names would become equal; `unsupported` for names and types that
  ///   the format does not support; `exists`, `io`.
  /// - Complexity: O(bytes); memory for a window of blocks.
  public func convert(
    to path: String, _ format: CheckpointFormat, type wanted: FloatType? = nil,
    except: [NamePattern] = [], overwriting: Bool = false, progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ConvertSummary {
    let stamps = InputStamps([self])
    let separator = UInt8(ascii: format == .hdf5 ? "/" : ".")
    var names: [TensorName: TensorName] = [:]
    var renamed: [(name: TensorName, type: ElementType, shape: Shape)] = []
    let unmatched = except.first { one in !self.tensors.contains { one.matches($0.name) } }
    if let unmatched {
      throw DiffError(.mismatch, "no tensor matches '\(unmatched.text)'", path: path)
    }
    // HDF5 has no type for elements smaller than a byte.
    let tensors = self.tensors.filter { tensor in
      !except.contains { $0.matches(tensor.name) } && (format != .hdf5 || tensor.type.unit == 1)
    }
    for tensor in tensors {
      let name = format == self.format ? tensor.name : tensor.name.key.spelled(with: separator)
      if let other = names.updateValue(tensor.name, forKey: name) {
        throw DiffError(
          .mismatch, "and '\(other)' would both be '\(name)'", path: self.path, tensor: tensor.name)
      }
      let type = tensor.type.float == nil ? nil : wanted?.elementType
      renamed.append((name, type ?? tensor.type, tensor.shape))
    }
    try FreeSpace.require(
      renamed.map { $0.shape.count * UInt64($0.type.width) }.clampedSum, at: path)
    let (output, stored): (any CheckpointOutput, [StoredTensor])
    do throws(DiffError) {
      (output, stored) = try CheckpointFile.make(
        at: path, format, renamed, metadata: storedMetadata(of: self, format),
        overwriting: overwriting)
    } catch { throw naming(error, names) }
    var summary = ConvertSummary()
    summary.skipped =
      skipped
      + self.tensors.filter { format == .hdf5 && $0.type.unit > 1 }.map {
        SkippedObject(name: $0.name, reason: "elements of type \($0.type)")
      }
    if let attributes = try leftAttributes() { summary.skipped.append(attributes) }
    var progress = ProgressCounter(
      "convert", total: tensors.map(\.byteCount).clampedSum, handler)
    var blocks = [(bytes: [UInt8], infinite: Int)](repeating: ([], 0), count: Blocks.perWindow)
    for (tensor, target) in zip(tensors, stored) {
      let types = tensor.type.float.flatMap { old in target.type.float.map { (old, $0) } }
      let (width, newWidth) = (UInt64(tensor.type.width), UInt64(target.type.width))
      if tensor.type != target.type { summary.converted += 1 }
      try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
        window throws(DiffError) in
        try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
          try read(tensor, window[index], into: &block.bytes)
          block.infinite = 0
          if let (old, new) = types, old != new {
            let numbers = Kernels.widened(block.bytes.span, old, 0)
            block.bytes = Kernels.narrowed(numbers.span, new, 0)
            block.infinite = numbers.count { $0.isFinite && $0.magnitude >= new.overflow }
          }
          let offset = window[index].lowerBound / width * newWidth
          try output.write(block.bytes.span, to: target, at: offset)
        }
        for block in blocks.prefix(window.count) { summary.infinite += UInt64(block.infinite) }
        progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
      }
      summary.tensors += 1
      summary.bytes += target.byteCount
    }
    progress.finish()
    try stamps.check()
    try output.commit()
    return summary
  }
}

extension Checkpoint {
  /// An error about a tensor of the new file, as one about the tensor of this file that it comes
  /// from.
  private func naming(_ error: DiffError, _ names: [TensorName: TensorName]) -> DiffError {
    guard let name = error.tensor, let old = names[name], old != name else { return error }
    var error = error
    error.path = path
    error.tensor = old
    error.message = "would be '\(name)': \(error.message)"
    return error
  }

  /// Returns the attributes of an HDF5 file that are not converted, as one object; nil if there are
  /// none.
  fileprivate func leftAttributes() throws(DiffError) -> SkippedObject? {
    guard format == .hdf5 else { return nil }
    let metadata = metadata
    let left = try otherContents().compactMap { content in
      content.name == "/" && metadata[content.attribute ?? ""] != nil ? nil : content.attribute
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

/// Returns the metadata to store in the new file.
private func storedMetadata(
  of source: any Checkpoint, _ format: CheckpointFormat
) -> [String: String] {
  guard format == .safetensors, source.format != format else { return source.metadata }
  // Loaders of the transformers library require the key 'format'.
  return source.metadata.merging(["format": "pt"]) { old, _ in old }
}
