import DiffFormat
import Kernels
import TensorCore

extension Diffs {
  /// Writes a diff with other encodings, and its additions with another type of values, if one is
  /// given. Fingerprints of results are kept where no value was rounded.
  ///
  /// - Throws: `unsupported` for a value that the type does not hold; what reading and writing
  ///   throw.
  /// - Returns: how many values were rounded.
  /// - Complexity: O(changes), in memory of a few pages.
  public static func reencode(
    _ diff: DiffReader, into sink: any ByteSink, values: FloatType? = nil,
    profile: EncodingProfile = .size
  ) throws(DiffError) -> UInt64 {
    let writer = try DiffWriter(sink, metadata: diff.metadata, profile: profile)
    var rounded: UInt64 = 0
    for entry in diff {
      if case .add(let type, _) = entry.operation, let values, values != type {
        rounded += try MergeTerm(diff: 0, reader: diff, entry: entry).write(as: values, to: writer)
        continue
      }
      try writer.begin(entry)
      for stream in entry.operation.streams {
        if stream != .changes { try writer.begin(stream) }
        var pages = diff.pages(of: entry, stream)
        while try pages.next() {
          try writer.append(at: pages.page.start, pages.page.offsets, pages.page.values)
        }
      }
      try writer.end()
    }
    try writer.finish()
    return rounded
  }
}

extension MergeTerm {
  /// Writes an addition with values of another type; returns how many were rounded.
  fileprivate func write(
    as type: FloatType, to writer: DiffWriter
  ) throws(DiffError) -> UInt64 {
    guard let tensor = entry.type.float else { return 0 }
    var largest = 0.0
    try forEachPage { _, _, values throws(DiffError) in
      for value in values { largest = max(largest, value.magnitude) }
    }
    let scale =
      largest.isFinite ? DiffEntry.scale(forLargest: largest, type, in: tensor) : 0
    var converted = entry
    converted.operation = .add(values: type, scale: scale)
    converted.result = nil
    var rounded: UInt64 = 0
    try writer.begin(converted)
    try forEachPage { page, offsets, values throws(DiffError) in
      let bytes = Kernels.narrowed(values.span, type, scale)
      let stored = Kernels.widened(bytes.span, type, scale)
      for i in values.indices where stored[i] != values[i] {
        guard stored[i].isFinite || !values[i].isFinite else {
          throw DiffError(
            .unsupported, "a change of \(values[i]) is more than \(type) holds",
            path: reader.path, tensor: entry.name)
        }
        rounded += 1
      }
      try writer.append(at: page.start, offsets, bytes.span)
    }
    try writer.end(result: rounded == 0 ? entry.result : nil)
    return rounded
  }
}
