import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// What `convert` did.
public struct ConvertSummary: Sendable, Hashable {
  /// Tensors written.
  public var tensors = 0
  /// Bytes of their elements.
  public var bytes: UInt64 = 0
  /// Tensors of another float type than before, and their elements that became infinite.
  public var converted = 0, infinite: UInt64 = 0
  /// What the source holds that is no tensor, and so was left out.
  public var skipped: [SkippedObject] = []
}

extension Checkpoint {
  /// Writes the tensors of a checkpoint as one of another format, elements bit for bit (in
  /// little-endian order). Between formats, names get the separator of the new one: '/' in HDF5,
  /// where names are paths, '.' in safetensors.
  ///
  /// A diff made on either checkpoint applies to the other, unless types are changed.
  ///
  /// - Parameters:
  ///   - type: the type that all float tensors get, each element rounded to nearest even.
  ///   - except: tensors that are left out.
  /// - Throws: `mismatch` if two names would become one; `unsupported` for names and types that the
  ///   format does not have; `exists`, `io`.
  /// - Complexity: O(bytes), in memory of a window of blocks.
  public func convert(
    to path: String, _ format: CheckpointFormat, type wanted: FloatType? = nil,
    except: [NamePattern] = [], overwriting: Bool = false, progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ConvertSummary {
    let stamps = InputStamps([self])
    let separator = UInt8(ascii: format == .hdf5 ? "/" : ".")
    var names: [TensorName: TensorName] = [:]
    var renamed: [(name: TensorName, type: ElementType, shape: Shape)] = []
    if let vain = except.first(where: { one in !self.tensors.contains { one.matches($0.name) } }) {
      throw DiffError(.mismatch, "no tensor fits '\(vain.text)'", path: path)
    }
    // HDF5 has nothing for elements that are no whole bytes.
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
    var works = [(room: [UInt8], infinite: Int)](repeating: ([], 0), count: Blocks.perWindow)
    for (tensor, target) in zip(tensors, stored) {
      let types = tensor.type.float.flatMap { old in target.type.float.map { (old, $0) } }
      let (width, newWidth) = (UInt64(tensor.type.width), UInt64(target.type.width))
      if tensor.type != target.type { summary.converted += 1 }
      try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
        window throws(DiffError) in
        try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
          try read(tensor, window[index], into: &work.room)
          work.infinite = 0
          if let (old, new) = types, old != new {
            let numbers = Kernels.widened(work.room.span, old, 0)
            work.room = Kernels.narrowed(numbers.span, new, 0)
            work.infinite = numbers.count { $0.isFinite && $0.magnitude >= new.overflow }
          }
          let offset = window[index].lowerBound / width * newWidth
          try output.write(work.room.span, to: target, at: offset)
        }
        for work in works.prefix(window.count) { summary.infinite += UInt64(work.infinite) }
        progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
      }
      summary.tensors += 1
      summary.bytes += target.byteCount
    }
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
