import DiffFormat
import TensorCore

/// The result of `extract`.
public struct ExtractSummary: Sendable, Hashable {
  /// The number of extracted tensors.
  public var tensors = 0
  /// The attributes of tensors not all of which were extracted.
  public var attributesLeftOut: [AttributeChange] = []
}

extension Diffs {
  /// Writes a diff with some of the tensors of another one, of any operation, exactly as stored,
  /// including fingerprints.
  ///
  /// - Parameters:
  ///   - diff: the diff to extract from.
  ///   - patterns: the names to take, with wildcards as in `NamePattern`; none takes all.
  ///   - exceptions: the names to leave out of these.
  ///   - metadata: further metadata to store.
  ///   - sink: the destination of the new diff.
  /// - Throws: `usage` if a pattern matches no tensor, or nothing is left; the errors of reading
  ///   and writing.
  /// - Complexity: O(bytes extracted); memory for a page.
  public static func extract(
    _ diff: DiffReader, tensors patterns: [NamePattern], except exceptions: [NamePattern] = [],
    metadata: [String: String] = [:], into sink: any ByteSink
  ) throws(DiffError) -> ExtractSummary {
    let entries = Array(diff)
    for pattern in patterns + exceptions {
      guard entries.contains(where: { pattern.matches($0.name) }) else {
        let close = CloseNames.closest(to: TensorName(pattern.text), among: entries.map(\.name))
        throw DiffError(
          .usage,
          "no tensor of the diff matches '\(pattern.text)'"
            + (close.map { "; there is '\($0)'" } ?? ""), path: diff.path)
      }
    }
    let taken = entries.filter { entry in
      (patterns.isEmpty || patterns.contains { $0.matches(entry.name) })
        && !exceptions.contains { $0.matches(entry.name) }
    }
    guard !taken.isEmpty else {
      throw DiffError(.usage, "no tensor is left to extract", path: diff.path)
    }
    let heads = entries.count { $0.operation.isOfHead }
    var derived = diff.derivedMetadata(
      keepsHead: taken.count { $0.operation.isOfHead } == heads)
    derived["diffkit.extract.parent"] = diff.identity.description
    let writer = try DiffWriter(
      sink, metadata: derived.merging(metadata) { $1 }, packed: taken.contains { $0.type.unit > 1 })
    for entry in taken { try writer.copy(entry, of: diff) }
    let names = Set(taken.map(\.name))
    let attributes = KeptAttributes(diff) { names.contains($0.name) }
    writer.carry(attributes.carried)
    try writer.finish()
    return ExtractSummary(tensors: taken.count, attributesLeftOut: attributes.leftOut)
  }
}
