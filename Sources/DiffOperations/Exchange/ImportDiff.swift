import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// The options of an import.
public struct ImportOptions: Sendable {
  /// The type of stored values; nil for f16 if it represents all values of a tensor exactly (with a
  /// power-of-two scale), else f32.
  public var values: FloatType?
  /// Maps names in the file to names in the base.
  public var names = NameMap()
  /// The profile by which encodings are chosen.
  public var profile = EncodingProfile.size
  /// Metadata to store in the diff.
  public var metadata: [String: String] = [:]

  /// Creates the default options: exact values, in as few bytes as possible.
  public init() {}
}

extension Diffs {
  /// Writes an additive diff with the changes in a file of another tool. Types, shapes and
  /// fingerprints are taken from the base, since the file lacks them.
  ///
  /// - Throws: `mismatch` for tensors that the base lacks or has in another shape, `malformed` for
  ///   a damaged file, `unsupported` for values out of range of the type; `io`.
  /// - Complexity: O(changes log changes + elements of the changed tensors); memory for the changes
  ///   of one tensor.
  public static func `import`(
    _ path: String, _ format: ExchangeFormat, on base: any Checkpoint, into sink: any ByteSink,
    _ options: ImportOptions = ImportOptions()
  ) throws(DiffError) -> ExchangeSummary {
    let input = try ExchangeInput(path, format)
    let names = TensorNames(base, options.names)
    var found: [(name: TensorName, source: TensorName, stored: StoredTensor?)] = []
    var missing: [TensorName] = []
    for (name, kinds) in input.tensors {
      let stored = try names.find(name)
      if kinds["head"] != nil {
        guard stored == nil || format.isAdapter else {
          throw DiffError(
            .mismatch, "is a head in \(path), but in the base as well", path: base.path,
            tensor: name)
        }
      } else if stored == nil {
        missing.append(name)
      }
      found.append((stored?.name ?? name, name, stored))
    }
    try names.requireAll(missing)
    try options.names.requireDistinct(found.map(\.source), of: path)
    found.sort { $0.name < $1.name }
    for (one, next) in zip(found, found.dropFirst()) where one.name == next.name {
      throw DiffError(
        .mismatch, "is the same tensor as '\(one.source)' in \(base.path)", path: path,
        tensor: next.source)
    }
    var summary = ExchangeSummary()
    summary.names = found.map(\.source)
    let writer = try DiffWriter(
      sink, metadata: options.metadata, profile: options.profile, packed: input.hasPackedElements)
    for (name, source, stored) in found {
      guard let stored else {
        let head = try input.array(source, "head")
        try writer.begin(DiffEntry(name, .insert, head.type, head.shape))
        try writer.append(at: 0, every: head.bytes.span)
        try writer.end(result: .of(head.type, head.shape, head.bytes.span))
        summary.heads += 1
        continue
      }
      if input.tensors[source]?["head"] != nil {
        if try writer.write(exact: try input.array(source, "head"), over: stored, in: base) {
          summary.heads += 1
        }
        continue
      }
      guard let float = stored.type.float else {
        throw DiffError(
          .unsupported, "is \(stored.type) in the base, which cannot be added to",
          path: base.path, tensor: stored.name)
      }
      var tensor = try input.changes(source, stored.shape)
      // PEFT rounds the values of Super-Tuning to the type of the matrix, then adds them.
      if format == .superTuning { tensor.round(to: float) }
      guard !tensor.runs.isEmpty else { continue }
      let (operation, runs) = try tensor.encoded(
        as: options.values, for: float, rounded: &summary.rounded, path: path)
      try writer.begin(
        DiffEntry(
          name, operation, stored.type, stored.shape, base: try base.fingerprint(of: stored)))
      for run in runs { try writer.append(run) }
      try writer.end()
      summary.tensors += 1
      summary.changes += tensor.count
    }
    try writer.finish()
    return summary
  }
}

extension DiffWriter {
  /// Writes the exact difference of a tensor of the base and one that an adapter holds whole;
  /// returns false if they are equal.
  fileprivate func write(
    exact array: NumPyArray, over stored: StoredTensor, in base: any Checkpoint
  ) throws(DiffError) -> Bool {
    guard array.type == stored.type, array.shape == stored.shape else {
      throw DiffError(
        .mismatch,
        "is \(array.type) \(array.shape) in the adapter, but \(stored.type) \(stored.shape) here",
        path: base.path, tensor: stored.name)
    }
    var bytes = [UInt8](repeating: 0, count: array.bytes.count)
    var span = bytes.mutableSpan
    try base.read(stored, at: 0, into: &span)
    let differences = Differences(
      from: bytes, to: array.bytes, width: array.type.width, at: 0, .xor)
    guard !differences.changes.isEmpty else { return false }
    try begin(DiffEntry(stored.name, .xor, stored.type, stored.shape))
    try append(differences.changes)
    try end(
      base: .of(stored.type, stored.shape, bytes.span),
      result: .of(array.type, array.shape, array.bytes.span),
      old: XXH3.hash128(differences.old.span))
    return true
  }
}

extension ExchangedTensor {
  /// Rounds the values to another type.
  fileprivate mutating func round(to type: FloatType) {
    for index in runs.indices {
      let values = runs[index].values
      let rounded = Kernels.narrowed(values.span, type, 0)
      runs[index].values = Kernels.widened(rounded.span, type, 0)
    }
  }

  /// Returns the changes as a diff stores them, and counts rounded values.
  fileprivate func encoded(
    as wanted: FloatType?, for tensor: FloatType, rounded: inout UInt64, path: String
  ) throws(DiffError) -> (operation: DiffOperation, runs: [ChangeRun<UInt8>]) {
    let numbers = values
    let largest = Kernels.largest(numbers.span)
    func encode(
      _ type: FloatType
    ) -> (operation: DiffOperation, runs: [ChangeRun<UInt8>], numbers: [Double]) {
      let scale =
        largest.isFinite ? DiffEntry.scale(forLargest: largest, type, in: tensor) : 0
      let stored = runs.map {
        ChangeRun(at: $0.start, $0.offsets, Kernels.narrowed($0.values.span, type, scale))
      }
      return (
        .add(values: type, scale: scale), stored,
        stored.flatMap { $0.view.numbers(type, scale: scale) }
      )
    }
    var type = wanted ?? .f16
    var made = encode(type)
    if wanted == nil && made.numbers != numbers {
      type = .f32
      made = encode(type)
    }
    guard made.numbers.allSatisfy(\.isFinite) else {
      throw DiffError(
        .unsupported, "a value is not finite or out of range of \(type)", path: path,
        tensor: name)
    }
    for (one, other) in zip(made.numbers, numbers) where one != other { rounded += 1 }
    return (made.operation, made.runs)
  }
}
