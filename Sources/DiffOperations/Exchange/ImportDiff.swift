import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// How `importDiff` works.
public struct ImportOptions: Sendable {
  /// The type of stored values; nil: f16 for the tensors whose values it holds exactly (with a
  /// power-of-two scale), else f32.
  public var values: FloatType?
  /// What the tensors of the file are called in the base.
  public var names = NameMap()
  /// How encodings are chosen.
  public var profile = EncodingProfile.size
  /// Facts to store with the diff.
  public var metadata: [String: String] = [:]

  /// The defaults: values as they are, in as few bytes as that allows.
  public init() {}
}

extension Diffs {
  /// Writes an additive diff with the changes in a file of another tool. Types, shapes and
  /// fingerprints are those of the base, which the file itself does not tell.
  ///
  /// - Throws: `mismatch` for tensors that the base lacks or has in another shape, `malformed` for a
  ///   damaged file, `unsupported` for values that the type does not hold; `io`.
  /// - Complexity: O(changes log changes) and O(elements of the base's tensors concerned), in memory
  ///   of the changes of one tensor.
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
        guard stored == nil else {
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
    found.sort { $0.name < $1.name }
    var summary = ExchangeSummary()
    let writer = try DiffWriter(sink, metadata: options.metadata, profile: options.profile)
    for (name, source, stored) in found {
      guard let stored else {
        let head = try input.array(source, "head")
        try writer.begin(DiffEntry(name, .insert, head.type, head.shape))
        try writer.append(
          Array(0..<head.shape.count), head.bytes, width: head.type.width)
        try writer.end(result: .of(head.type, head.shape, head.bytes.span))
        summary.heads += 1
        continue
      }
      guard let float = stored.type.float else {
        throw DiffError(
          .unsupported, "is \(stored.type) in the base, to which nothing can be added",
          path: base.path, tensor: stored.name)
      }
      let tensor = try input.changes(source, stored.shape)
      guard !tensor.positions.isEmpty else { continue }
      let encoded = try tensor.encoded(options.values, float, &summary.rounded, path)
      try writer.begin(
        DiffEntry(
          name, .add(values: encoded.type, scale: encoded.scale), stored.type, stored.shape,
          base: try base.fingerprint(of: stored)))
      try writer.append(tensor.positions, encoded.bytes, width: encoded.type.width)
      try writer.end()
      summary.tensors += 1
      summary.changes += UInt64(tensor.positions.count)
    }
    try writer.finish()
    return summary
  }
}

extension ExchangedTensor {
  /// The values as a diff stores them.
  fileprivate func encoded(
    _ wanted: FloatType?, _ tensor: FloatType, _ rounded: inout UInt64, _ path: String
  ) throws(DiffError) -> (type: FloatType, scale: Int, bytes: [UInt8]) {
    let largest = values.reduce(0) { max($0, $1.magnitude) }
    func encode(_ type: FloatType) -> (scale: Int, bytes: [UInt8], stored: [Double]) {
      let scale =
        largest.isFinite ? DiffEntry.scale(forLargest: largest, type, in: tensor) : 0
      let bytes = Kernels.narrowed(values.span, type, scale)
      return (scale, bytes, Kernels.widened(bytes.span, type, scale))
    }
    var type = wanted ?? .f16
    var made = encode(type)
    if wanted == nil && made.stored != values {
      type = .f32
      made = encode(type)
    }
    guard made.stored.allSatisfy(\.isFinite) else {
      throw DiffError(
        .unsupported, "a value is not finite, or more than \(type) holds", path: path,
        tensor: name)
    }
    for (one, other) in zip(made.stored, values) where one != other { rounded += 1 }
    return (type, made.scale, made.bytes)
  }
}

extension DiffWriter {
  /// Appends values at positions that ascend.
  func append(_ positions: [UInt64], _ values: [UInt8], width: Int) throws(DiffError) {
    var start = 0
    while start < positions.count {
      let first = positions[start]
      // Offsets have 32 bits, and lists of them some limit.
      let offsets = positions[start...].prefix(1 << 16).prefix { $0 - first < 1 << 32 }
        .map { UInt32($0 - first) }
      let end = start + offsets.count
      try append(
        at: first, offsets.span, values.span.extracting(start * width..<end * width))
      start = end
    }
  }
}
