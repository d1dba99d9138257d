import DiffFormat
import TensorCore

/// The result of `scale`.
public struct ScaleSummary: Sendable, Hashable {
  /// The number of multiplied additions, and of those that were rounded.
  public var changes: UInt64 = 0, rounded: UInt64 = 0
}

extension Diffs {
  /// Writes an additive diff with all its changes multiplied. If the factor is a power of two, only
  /// the scale of each tensor changes and every value stays exact; otherwise values are rounded
  /// once, to their own type. Heads and other whole tensors are unchanged. The result has the
  /// fingerprints of the base, but none of its own result.
  ///
  /// - Throws: `unsupported` for exact changes and for products out of range of the type of the
  ///   values; `usage` for a factor that is zero or not finite.
  /// - Complexity: O(size of the diff); memory for a page.
  public static func scale(
    _ diff: DiffReader, by factor: Double, into sink: any ByteSink,
    profile: EncodingProfile = .size, metadata: [String: String] = [:]
  ) throws(DiffError) -> ScaleSummary {
    guard factor.isFinite, factor != 0 else {
      throw DiffError(.usage, "the factor must be finite and nonzero, not \(factor)")
    }
    _ = try diff.additions("scaled")
    var derived = diff.derivedMetadata()
    derived["diffkit.scale.parent"] = diff.identity.description
    derived["diffkit.scale.factor"] = "\(factor)"
    let writer = try DiffWriter(
      sink, metadata: derived.merging(metadata) { $1 }, profile: profile,
      packed: diff.hasPackedElements)
    var summary = ScaleSummary()
    for entry in diff {
      guard let additions = AdditiveReader(entry, of: diff), let tensor = entry.type.float else {
        try writer.copy(entry, of: diff)
        continue
      }
      summary.changes += entry.count
      let scale = additions.scale + Int(factor.exponent)
      guard factor > 0, factor.significand == 1, DiffEntry.scales(of: tensor).contains(scale) else {
        summary.rounded += try additions.write(as: additions.type, times: factor, to: writer)
        continue
      }
      var scaled = entry
      scaled.operation = .add(values: additions.type, scale: scale)
      scaled.result = nil
      try writer.copy(scaled, of: diff)
    }
    writer.carry(diff.attributes)
    try writer.finish()
    return summary
  }
}
