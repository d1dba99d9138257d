import Checkpoints
import DiffFormat
import SystemSupport
import TensorCore

extension Diffs {
  /// Writes the changes of an additive diff as a file for another tool. Fingerprints, metadata and
  /// the type of the stored values are not kept: an import takes them from the base.
  ///
  /// SHiRA is written as a folder that PEFT loads, or, if `path` ends in `.safetensors`, as the
  /// weights alone.
  ///
  /// - Parameter base: the base, for SHiRA: exact changes are written as the whole tensors that
  ///   they result in.
  /// - Throws: `unsupported` for exact changes, deleted tensors and others that the format cannot
  ///   represent; `wrong-base`, `exists`, `io`.
  /// - Complexity: O(changes); memory for the changes of one tensor.
  public static func export(
    _ diff: DiffReader, to path: String, _ format: ExchangeFormat,
    base: (any Checkpoint)? = nil, overwriting: Bool = false
  ) throws(DiffError) -> ExchangeSummary {
    // SHiRA has whole tensors besides additions.
    let additions = try diff.additions(
      "exported", besidesExact: format == .shira && diff.contains(where: \.isAddition))
    let wholes = diff.filter { !$0.isAddition }
    var arrays: [(name: TensorName, type: ElementType, shape: Shape)] = []
    var adapter: ShiraAdapter?
    if format == .shira { adapter = try ShiraAdapter(additions.map(\.entry), heads: wholes) }
    for one in additions {
      if let adapter {
        arrays += adapter.arrays(one.entry)
      } else {
        arrays += try format.arrays(one.entry)
      }
    }
    for entry in wholes {
      let isChange = format == .shira && entry.operation != .insert && entry.operation != .delete
      guard entry.operation == .insert || isChange && base != nil,
        let name = format.headName(entry.name)
      else {
        throw DiffError(
          .unsupported,
          "'\(format.rawValue)' cannot represent a tensor with the operation "
            + "'\(entry.operation.name)'" + (isChange ? " without the base" : ""),
          path: diff.path, tensor: entry.name, remedy: isChange ? .base : .leaveOut)
      }
      arrays.append((name, entry.type, entry.newShape ?? entry.shape))
    }
    let tuned = try base.map { (base) throws(DiffError) in
      try LinkedCheckpoint(base, DiffStep.all([diff], .apply))
    }
    var folder: OutputFolder?
    if adapter != nil && !path.hasSuffix(".safetensors") { folder = try OutputFolder(path) }
    let file = folder?.temporaryPath(of: ShiraAdapter.weightsName) ?? path
    let output = try ExchangeOutput(file, format, arrays, overwriting: overwriting)
    var summary = ExchangeSummary()
    for one in additions {
      let tensor = try one.exchanged(&summary.rounded)
      for bytes in format.elements(adapter?.filled(tensor) ?? tensor) {
        try output.write(next: bytes)
      }
      summary.tensors += 1
      summary.changes += tensor.count
    }
    for entry in wholes {
      var bytes: [UInt8] = []
      if let tuned, entry.operation != .insert {
        bytes = try tuned.elements(of: entry, diff)
      } else {
        var pages = diff.pages(of: entry)
        while let changes = try pages.next() { bytes.append(copying: changes.values) }
      }
      try output.write(next: bytes)
      summary.heads += 1
    }
    try output.commit()
    if let folder, let adapter {
      try folder.write(Array(adapter.configuration.utf8), as: ShiraAdapter.configurationName)
      try folder.commit()
    }
    return summary
  }
}

extension LinkedCheckpoint {
  /// Returns the elements that an exact change results in, after verification.
  fileprivate func elements(
    of entry: DiffEntry, _ diff: DiffReader
  ) throws(DiffError) -> [UInt8] {
    guard let tensor = try TensorNames(self).find(entry.name),
      try fingerprint(of: tensor) == entry.result
    else {
      throw DiffError(
        .wrongBase, "is not the one that '\(diff.path ?? "the diff")' was made for", path: path,
        tensor: entry.name)
    }
    var bytes: [UInt8] = []
    try read(tensor, 0..<tensor.byteCount, into: &bytes)
    return bytes
  }
}

extension AdditiveReader {
  /// Returns all changes as numbers; counts those that are not exact in float32.
  fileprivate func exchanged(_ rounded: inout UInt64) throws(DiffError) -> ExchangedTensor {
    var tensor = ExchangedTensor(
      name: entry.name, shape: entry.shape, type: entry.type == .f64 ? .f64 : .f32)
    try forEachPage { changes, numbers throws(DiffError) in
      tensor.runs.append(
        ChangeRun(at: changes.start, changes.offsets(from: changes.start), numbers))
      guard tensor.type == .f32 else { return }
      for number in numbers where Double(Float(number)) != number { rounded += 1 }
    }
    return tensor
  }
}

/// Writes a file of arrays whose names, types and shapes are known in advance.
private final class ExchangeOutput {
  private let arrays: [(name: TensorName, type: ElementType, shape: Shape)]
  private let archive: NpzOutput?
  private let checkpoint: (output: any CheckpointOutput, tensors: [StoredTensor])?
  private var number = 0

  init(
    _ path: String, _ format: ExchangeFormat,
    _ arrays: [(name: TensorName, type: ElementType, shape: Shape)], overwriting: Bool
  ) throws(DiffError) {
    self.arrays = arrays
    switch format {
    case .cooNpz, .sftNpz:
      archive = try NpzOutput(path, overwriting: overwriting)
      checkpoint = nil
    case .shira, .superTuning, .sparseHDF5:
      archive = nil
      let made = try CheckpointFile.make(
        at: path, format == .shira ? .safetensors : .hdf5, arrays,
        metadata: format == .shira ? ["format": "pt"] : [:], overwriting: overwriting)
      checkpoint = (made.output, made.tensors)
    }
  }

  /// Writes the next array.
  func write(next bytes: [UInt8]) throws(DiffError) {
    let array = arrays[number]
    try archive?.write(array.name, NumPyArray(array.type, array.shape, bytes))
    if let checkpoint, !bytes.isEmpty {
      try checkpoint.output.write(bytes.span, to: checkpoint.tensors[number], at: 0)
    }
    number += 1
  }

  func commit() throws(DiffError) {
    try archive?.commit()
    try checkpoint?.output.commit()
  }
}
