import DiffFormat
import TensorCore

/// How `prune` works.
public struct PruneOptions: Sendable {
  /// Which changes are kept: `density` is a share of the elements of the tensors that the diff
  /// adds to.
  public var selection: Selection
  /// Whether a density holds for each tensor instead of all together.
  public var perTensor = false
  /// How encodings are chosen.
  public var profile = EncodingProfile.size
  /// What the diff says beside what it takes over.
  public var metadata: [String: String] = [:]

  /// Keeps what `selection` says.
  public init(_ selection: Selection) { self.selection = selection }
}

/// What `prune` kept.
public struct PruneSummary: Sendable, Hashable {
  /// Changes before, and those kept.
  public var changes: UInt64 = 0, kept: UInt64 = 0
  /// Sums of their squares.
  public var squares = 0.0, keptSquares = 0.0
  /// Tensors of the result.
  public var tensors = 0

  /// The share of the L2 norm that was kept.
  public var normShare: Double { squares == 0 ? 1 : (keptSquares / squares).squareRoot() }
}

extension Diffs {
  /// Writes an additive diff with its largest changes only, their bits as they are; among equals the
  /// first by tensor name, then position. Heads are kept. The result has the base's fingerprints,
  /// but none of its own.
  ///
  /// - Throws: `unsupported` for exact changes, which without some of their elements make no tensor
  ///   that anybody wants; `usage` for a density outside of 0 ... 1; what reading and writing throw.
  /// - Complexity: O(changes), in memory of a few MB; densities read the diff two or three times
  ///   more.
  public static func prune(
    _ diff: DiffReader, into sink: any ByteSink, _ options: PruneOptions
  ) throws(DiffError) -> PruneSummary {
    try options.selection.check()
    let all = try diff.additions("pruned")
    var cut = try options.perTensor ? MagnitudeCut() : options.selection.cut(of: all)
    var summary = PruneSummary()
    var facts = diff.derivedMetadata()
    facts["diffkit.prune.parent"] = diff.identity.description
    facts["diffkit.prune.selection"] = options.selection.text + (options.perTensor ? " each" : "")
    let writer = try DiffWriter(
      sink, metadata: facts.merging(options.metadata) { $1 }, profile: options.profile,
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
  /// What is kept of additions.
  ///
  /// - Throws: what reading the diff throws; `unsupported` if there is no largest.
  fileprivate func cut(of additions: [AdditiveReader]) throws(DiffError) -> MagnitudeCut {
    func read(_ body: ([Double]) throws(DiffError) -> Void) throws(DiffError) {
      for one in additions {
        try one.forEachPage { _, numbers throws(DiffError) in
          guard numbers.allSatisfy(\.isFinite) else {
            throw DiffError(
              .unsupported, "has changes that are not finite; there is no largest",
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

  /// As metadata has it.
  fileprivate var text: String {
    switch self {
    case .all: "all"
    case .density(let density): "density \(density)"
    case .threshold(let least): "threshold \(least)"
    }
  }
}

extension DiffWriter {
  /// Writes an entry of another diff as it is stored there, under the name and with what else
  /// `entry` says.
  func copy(_ entry: DiffEntry, of diff: DiffReader) throws(DiffError) {
    try copy(entry, from: diff.source)
  }
}

extension ChangeView<UInt8> {
  /// Some of the changes.
  fileprivate func picked(_ indices: [Int]) -> ChangeRun<UInt8> {
    var run = ChangeRun<UInt8>(at: start, indices.map { offsets[$0] })
    run.values.reserveCapacity(indices.count * width)
    for index in indices {
      for byte in index * width..<(index + 1) * width { run.values.append(values[byte]) }
    }
    return run
  }
}
