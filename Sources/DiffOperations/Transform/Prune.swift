import DiffFormat
import TensorCore

/// The options of `prune`.
public struct PruneOptions: Sendable {
  /// The changes to keep; `density` is a share of the elements of the tensors that the diff adds
  /// to.
  public var selection: Selection
  /// True if a density applies to each tensor instead of all together.
  public var perTensor = false
  /// The profile by which encodings are chosen.
  public var profile = EncodingProfile.size
  /// Further metadata to store.
  public var metadata: [String: String] = [:]

  /// Creates options that keep `selection`.
  public init(_ selection: Selection) { self.selection = selection }
}

/// The result of `prune`.
public struct PruneSummary: Sendable, Hashable {
  /// The number of changes before, and of kept ones.
  public var changes: UInt64 = 0, kept: UInt64 = 0
  /// The sums of their squares.
  public var squares = 0.0, keptSquares = 0.0
  /// The number of tensors of the result.
  public var tensors = 0

  /// The L2 norm of the kept changes, as a share of that of all.
  public var normShare: Double { squares == 0 ? 1 : (keptSquares / squares).squareRoot() }
}

extension Diffs {
  /// Writes an additive diff with only its largest changes, bit for bit; ties are broken by tensor
  /// name, then position. Heads are kept. The result has the fingerprints of the base, but none of
  /// its own result.
  ///
  /// - Throws: `unsupported` for exact changes, which are meaningless if incomplete; `usage` for a
  ///   density outside 0 ... 1; the errors of reading and writing.
  /// - Complexity: O(changes); memory of a few MB. A density reads the diff two or three more
  ///   times.
  public static func prune(
    _ diff: DiffReader, into sink: any ByteSink, _ options: PruneOptions
  ) throws(DiffError) -> PruneSummary {
    try options.selection.check()
    let all = try diff.additions("pruned")
    var cut = try options.perTensor ? MagnitudeCut() : options.selection.cut(of: all)
    var summary = PruneSummary()
    var derived = diff.derivedMetadata()
    derived["diffkit.prune.parent"] = diff.identity.description
    derived["diffkit.prune.selection"] = options.selection.text + (options.perTensor ? " each" : "")
    let writer = try DiffWriter(
      sink, metadata: derived.merging(options.metadata) { $1 }, profile: options.profile,
      packed: diff.hasPackedElements)
    for entry in diff {
      guard let additions = AdditiveReader(entry, of: diff) else {
        try writer.copy(entry, of: diff)
        summary.tensors += 1
        continue
      }
      if options.perTensor { cut = try options.selection.cut(of: [additions]) }
      var kept: UInt64 = 0
      try additions.forEachPage { changes, numbers throws(DiffError) in
        var indices: [Int] = []
        for (index, number) in numbers.enumerated() {
          summary.squares += number * number
          guard cut.keeps(number) else { continue }
          summary.keptSquares += number * number
          indices.append(index)
        }
        summary.changes += UInt64(numbers.count)
        guard !indices.isEmpty else { return }
        if kept == 0 {
          var entry = entry
          entry.result = nil
          try writer.begin(entry)
        }
        kept += UInt64(indices.count)
        try writer.append(changes.picked(indices))
      }
      summary.kept += kept
      if kept > 0 {
        try writer.end()
        summary.tensors += 1
      }
    }
    writer.carry(diff.attributes)
    try writer.finish()
    return summary
  }
}

extension Selection {
  /// Returns the cut for additions.
  ///
  /// - Throws: the errors of reading the diff; `unsupported` if a change is not finite.
  fileprivate func cut(of additions: [AdditiveReader]) throws(DiffError) -> MagnitudeCut {
    func read(_ body: ([Double]) throws(DiffError) -> Void) throws(DiffError) {
      for one in additions {
        try one.forEachPage { _, numbers throws(DiffError) in
          guard numbers.allSatisfy(\.isFinite) else {
            throw DiffError(
              .unsupported, "has changes that are not finite, which cannot be ranked",
              tensor: one.entry.name)
          }
          try body(numbers.map(\.magnitude))
        }
      }
    }
    let elements = additions.map(\.entry.shape.count).clampedSum
    return try cut(of: elements) { wanted throws(DiffError) in
      guard wanted < additions.reduce(0, { $0 + $1.entry.count }) else { return MagnitudeCut() }
      var search = TopSearch()
      try read { search.count($0) }
      return try search.cut(wanted, read)
    }
  }

  /// The selection as stored in metadata.
  fileprivate var text: String {
    switch self {
    case .all: "all"
    case .density(let density): "density \(density)"
    case .threshold(let least): "threshold \(least)"
    }
  }
}

extension DiffWriter {
  /// Copies the stored pages of an entry of another diff, with the name and other properties of
  /// `entry`.
  func copy(_ entry: DiffEntry, of diff: DiffReader) throws(DiffError) {
    try copy(entry, from: diff.source)
  }
}

extension ChangeView<UInt8> {
  /// Returns some of the changes.
  fileprivate func picked(_ indices: [Int]) -> ChangeRun<UInt8> {
    var run = ChangeRun<UInt8>(at: start, indices.map { offsets[$0] })
    run.values.reserveCapacity(indices.count * width)
    for index in indices {
      for byte in index * width..<(index + 1) * width { run.values.append(values[byte]) }
    }
    return run
  }
}
