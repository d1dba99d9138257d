import DiffFormat
import Kernels
import TensorCore

extension Diffs {
  /// Writes a diff with other encodings and, if a type is given, its additions with values of that
  /// type. Fingerprints of results are kept unless a value was rounded.
  ///
  /// - Throws: `unsupported` for a value out of range of the type; the errors of reading and
  ///   writing.
  /// - Returns: the number of values that were rounded.
  /// - Complexity: O(changes); memory for a few pages.
  public static func reencode(
    _ diff: DiffReader, into sink: any ByteSink, values: FloatType? = nil,
    profile: EncodingProfile = .size, metadata: [String: String] = [:]
  ) throws(DiffError) -> UInt64 {
    let writer = try DiffWriter(
      sink, metadata: diff.metadata.merging(metadata) { $1 }, profile: profile,
      packed: diff.hasPackedElements)
    var rounded: UInt64 = 0
    for entry in diff {
      if let values, let additions = AdditiveReader(entry, of: diff), values != additions.type {
        rounded += try additions.write(as: values, to: writer)
        continue
      }
      try writer.begin(entry)
      for stream in entry.operation.streams {
        if stream != .changes { try writer.begin(stream) }
        var pages = diff.pages(of: entry, stream)
        while let changes = try pages.next() { try writer.append(changes) }
      }
      try writer.end()
    }
    writer.carry(diff.attributes)
    if rounded == 0, let checkpoints = diff.checkpoints {
      writer.extensions.append(DiffExtension(checkpoints: checkpoints))
    }
    try writer.finish()
    return rounded
  }
}

extension AdditiveReader {
  /// Writes the additions times a factor, as values of a type; returns the number of rounded
  /// values.
  ///
  /// - Throws: `unsupported` for a value out of range of the type, or not finite unless `factor` is
  ///   1.
  func write(
    as type: FloatType, times factor: Double = 1, to writer: DiffWriter
  ) throws(DiffError) -> UInt64 {
    guard let tensor = entry.type.float else { return 0 }
    var largest = 0.0
    try forEachPage { _, numbers throws(DiffError) in
      for number in numbers { largest = max(largest, (number * factor).magnitude) }
    }
    let scale =
      largest.isFinite ? DiffEntry.scale(forLargest: largest, type, in: tensor) : 0
    var written = entry
    written.operation = .add(values: type, scale: scale)
    written.result = nil
    var rounded: UInt64 = 0
    try writer.begin(written)
    try forEachPage { changes, numbers throws(DiffError) in
      let products = numbers.map { $0 * factor }
      let bytes = Kernels.narrowed(products.span, type, scale)
      let stored = Kernels.widened(bytes.span, type, scale)
      for (stored, product) in zip(stored, products) {
        guard stored.isFinite || factor == 1 && !product.isFinite else {
          throw DiffError(
            .unsupported, "a change of \(product) is out of range of \(type)", path: diff.path,
            tensor: entry.name)
        }
        if stored != product { rounded += 1 }
      }
      try writer.append(ChangeView(at: changes.start, changes.offsets, bytes.span))
    }
    try writer.end(result: rounded == 0 && factor == 1 ? entry.result : nil)
    return rounded
  }
}
