import Checkpoints
import Compression
import DiffFormat
import Kernels
import StrictJSON
import SystemSupport
import TensorCore

/// The options of writing a delta for other tools.
public struct DeltaOptions: Sendable {
  /// The checksum of the tensors of a folder; files of Fireworks have Adler-32.
  public var checksum = DeltaChecksum.xxh3
  /// Maps names in the diff to names in the base.
  public var names = NameMap()

  /// Creates the default options.
  public init() {}
}

extension Diffs {
  /// Writes the changes of a diff to its base as a delta of another tool.
  ///
  /// - Parameters:
  ///   - diff: the diff to convert.
  ///   - base: the base of the diff, in safetensors.
  ///   - path: for a versioned folder its name, `weight_vNNNNNN`, where N is one more than the base
  ///     version; for Fireworks a file, or a folder if the base is one.
  ///   - format: the format of the delta.
  ///   - options: the checksum, and the map from names in the diff to names in the base.
  ///   - overwriting: whether an existing file may be replaced; a folder never is.
  ///   - handler: called repeatedly with the progress.
  /// - Throws: `unsupported` for tensors that are inserted, deleted or reshaped, and for a base
  ///   that is not safetensors; `wrongBase`; `usage` for a name without a version; `exists`, `io`.
  /// - Complexity: O(bytes of the tensors that change), for Fireworks of all tensors; memory for a
  ///   few blocks.
  public static func export(
    _ diff: DiffReader, on base: any Checkpoint, to path: String, _ format: DeltaFormat,
    _ options: DeltaOptions = DeltaOptions(), overwriting: Bool = false,
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> ExchangeSummary {
    guard base.format == .safetensors else {
      throw DiffError(
        .unsupported, "is not safetensors, which '\(format.rawValue)' requires",
        path: base.path)
    }
    let stamps = InputStamps([base])
    let plans = try TensorPlan.all([diff], .apply, on: base, options.names)
    for plan in plans where plan.tableChange != nil {
      throw DiffError(
        .unsupported,
        "'\(format.rawValue)' cannot represent a tensor with the operation "
          + "'\(plan.entries[0].entry.operation.name)'",
        path: diff.path, tensor: plan.name, remedy: .leaveOut)
    }
    let output = DeltaExport(
      base: base, plans: plans, format: format,
      checksum: format.isVersioned ? options.checksum : .adler32)
    var progress = ProgressCounter("convert", total: output.byteCount, handler)
    var summary = ExchangeSummary()
    summary.tensors = plans.count
    summary.changes = plans.map(\.entries[0].entry.count).reduce(0, +)
    if format.isVersioned {
      try output.writeVersion(to: path, &progress)
    } else {
      try output.writeFiles(to: path, overwriting: overwriting, &progress)
    }
    progress.finish()
    try stamps.check()
    return summary
  }
}

/// Writes a delta.
private struct DeltaExport {
  let base: any Checkpoint
  /// The plans of the tensors that change, sorted by name.
  let plans: [TensorPlan]
  let format: DeltaFormat
  let checksum: DeltaChecksum

  /// The size of all tensors that are read, in bytes.
  var byteCount: UInt64 {
    let tensors = format.isVersioned ? plans.compactMap(\.stored) : base.tensors
    return tensors.map(\.byteCount).clampedSum
  }

  /// Writes a folder of one file and an index.
  func writeVersion(to path: String, _ progress: inout ProgressCounter) throws(DiffError) {
    let name = OutputFile.split(File.withoutFinalSlashes(path)).name
    guard name.hasPrefix("weight_v"), let version = UInt64(name.dropFirst(8)), version > 0 else {
      throw DiffError(
        .usage, "the name must give the version: weight_v000001 follows version 0", path: path)
    }
    let folder = try OutputFolder(path)
    let file = "model-00000-of-00001.safetensors"
    if !plans.isEmpty {
      let tensors = plans.compactMap(\.stored)
      try write(tensors, to: folder.temporaryPath(of: file), overwriting: false, &progress)
    }
    func text(_ number: UInt64) -> JSONValue {
      .string(String(repeating: "0", count: max(0, 6 - "\(number)".count)) + "\(number)")
    }
    let metadata: [JSONValue.Member] = [
      .init("version", text(version)), .init("base_version", text(version - 1)),
      .init("delta_encoding", .string(format == .deltaXor ? "xor" : "overwrite")),
      .init("compression_format", .string("zstd")),
      .init("checksum_format", .string(checksum.rawValue)),
    ]
    let index = JSONValue.object([
      .init("metadata", .object(metadata)),
      .init(
        "weight_map",
        .object(plans.map { .init(($0.stored?.name ?? $0.name).description, .string(file)) })),
    ])
    try folder.write(Array(index.compact.utf8), as: "model.safetensors.index.json")
    try folder.commit()
  }

  /// Writes a file for each file of the base.
  func writeFiles(
    to path: String, overwriting: Bool, _ progress: inout ProgressCounter
  ) throws(DiffError) {
    if let skipped = base.skipped.first(where: \.mayHoldNumbers) {
      throw DiffError(
        .unsupported,
        "'\(format.rawValue)' holds every tensor, but the type of one is not supported: "
          + skipped.reason, path: base.path, tensor: skipped.name)
    }
    guard Folder.exists(base.path) || base.path.hasSuffix(".json") else {
      return try write(base.tensors, to: path, overwriting: overwriting, &progress)
    }
    let folder = try OutputFolder(path)
    for (number, file) in base.files.enumerated() {
      try write(
        base.tensors.filter { $0.file == number },
        to: folder.temporaryPath(of: OutputFile.split(file).name), overwriting: false, &progress)
    }
    // Files other than weights are copied, as by Fireworks' own tool.
    let source = OutputFile.split(base.files[0]).folder
    for name in try Folder.names(source)
    where !name.hasSuffix(".safetensors") && !name.hasPrefix(".") {
      try folder.copy("\(source)/\(name)", as: name)
    }
    try folder.commit()
  }

  private func write(
    _ tensors: [StoredTensor], to path: String, overwriting: Bool,
    _ progress: inout ProgressCounter
  ) throws(DiffError) {
    var planned: [TensorName: TensorPlan] = [:]
    for plan in plans { planned[plan.stored?.name ?? plan.name] = plan }
    let output = try SafeTensorsPayloads(
      path, tensors.map(\.name), valueLength: 32, overwriting: overwriting)
    for tensor in tensors {
      let pass = DeltaPass(base: base, stored: tensor, plan: planned[tensor.name])
      let text =
        format == .deltaOverwrite
        ? try pass.writeOverwrite(to: output, checksum)
        : try pass.writeXor(to: output, checksum, compressor(tensor), format)
      output.end(tensor.name, value: text)
      progress.add(tensor.byteCount)
    }
    try output.commit()
  }

  private func compressor(_ tensor: StoredTensor) -> any StreamCompressor {
    switch format {
    case .arcV1: ZlibCompressor()
    case .arcV2: ZstdCompressor(level: 3, size: tensor.byteCount)
    default: ZstdCompressor(level: 1, size: tensor.byteCount)
    }
  }
}

/// Writes one tensor to a delta.
private struct DeltaPass {
  let base: any Checkpoint
  let stored: StoredTensor
  /// The changes to the tensor; nil if there are none.
  let plan: TensorPlan?

  /// Calls `body` with each block before and after, and checks both against the diff's
  /// fingerprints.
  private func forEachBlock(
    _ body: (_ old: [UInt8], _ new: [UInt8], _ offset: UInt64) throws(DiffError) -> Void
  ) throws(DiffError) {
    var patch = plan?.patch
    let width = UInt64(stored.type.width)
    var before = Fingerprint.Builder(stored.type, stored.shape)
    var after = before
    var old: [UInt8] = []
    try Blocks.forEachWindow(of: stored.byteCount, width: stored.type.width) {
      window throws(DiffError) in
      for block in window {
        try base.read(stored, block, into: &old)
        var new = old
        if patch != nil {
          let elements = block.lowerBound / width..<block.upperBound / width
          try patch?.move(to: elements)
          patch?.apply(to: &new, elements)
          before.append(BlockHashes(old.span))
          after.append(BlockHashes(new.span))
        }
        try body(old, new, block.lowerBound)
      }
    }
    guard let plan else { return }
    guard checksumsMatch(before.fingerprint, plan.before) else {
      throw DiffError(
        .wrongBase,
        before.fingerprint == plan.after
          ? "is at the result of the diff already" : "is not the base that the diff was made for",
        path: base.path, tensor: stored.name)
    }
    try plan.requireConsistent(after.fingerprint)
  }

  /// Writes the exclusive-or of all bytes; returns the checksum of the new bytes.
  func writeXor(
    to output: SafeTensorsPayloads, _ checksum: DeltaChecksum,
    _ compressor: any StreamCompressor, _ format: DeltaFormat
  ) throws(DiffError) -> String {
    var hash = DeltaHash(checksum, isDecimal: !format.isVersioned)
    try forEachBlock { old, new, _ throws(DiffError) in
      hash.update(new.span)
      var difference = old
      var span = difference.mutableSpan
      Kernels.xor(&span, with: new.span)
      try output.append(compressor.compress(difference.span, isLast: false).span)
    }
    try output.append(compressor.compress([UInt8]().span, isLast: true).span)
    return hash.text
  }

  /// Writes the changed bytes: their number, positions and new values. Returns the checksum of the
  /// new bytes.
  func writeOverwrite(
    to output: SafeTensorsPayloads, _ checksum: DeltaChecksum
  ) throws(DiffError) -> String {
    guard stored.byteCount <= UInt64(UInt32.max) else {
      throw DiffError(
        .unsupported, "has more bytes than 'delta-overwrite' can count; use delta-xor",
        path: base.path, tensor: stored.name)
    }
    var hash = DeltaHash(checksum, isDecimal: false)
    var count: UInt32 = 0
    try forEachBlock { old, new, _ throws(DiffError) in
      hash.update(new.span)
      count += UInt32(Kernels.differences(old.span, new.span, width: 1).count)
    }
    let compressor = ZstdCompressor(level: 1, size: 4 + 5 * UInt64(count))
    func write(_ bytes: [UInt8], isLast: Bool = false) throws(DiffError) {
      try output.append(compressor.compress(bytes.span, isLast: isLast).span)
    }
    try write(count.littleEndianBytes)
    try forEachBlock { old, new, offset throws(DiffError) in
      let offsets = Kernels.differences(old.span, new.span, width: 1)
      try write(offsets.map { $0 + UInt32(offset) }.littleEndianBytes)
    }
    try forEachBlock { old, new, _ throws(DiffError) in
      let offsets = Kernels.differences(old.span, new.span, width: 1)
      try write(Kernels.gathered(new.span, width: 1, at: offsets.span))
    }
    try write([], isLast: true)
    return hash.text
  }
}
