import DiffFormat
import SystemSupport
import TensorCore

/// The passes of one merge over the diffs.
struct MergeRun {
  let all: MergeInputs
  let options: MergeOptions
  private let handler: ProgressHandler?
  private var preparation: MergePreparation

  init(_ all: MergeInputs, _ options: MergeOptions, _ handler: ProgressHandler?) {
    self.all = all
    self.options = options
    self.handler = handler
    preparation = MergePreparation(all, options)
  }

  /// The result of a pass for a tensor, or for one of its windows.
  struct Merged {
    let tensor: MergeTensor
    let parts: [MergedPart]
    /// True if these are the first, and the last, parts of the tensor.
    let isFirst, isLast: Bool
    /// The largest magnitude of the whole tensor; nil if unknown.
    let largest: Double?
  }

  /// Makes a pass over all tensors.
  ///
  /// - Parameters:
  ///   - phase: the name of the pass in progress reports.
  ///   - combination: the arithmetic of the pass.
  ///   - surveys: whether `largest` is required, for which tensors in several windows are merged
  ///     twice.
  ///   - whole: receives whole and dropped tensors.
  ///   - body: receives the merged parts, in order.
  mutating func pass(
    _ phase: String, _ combination: Combination, surveys: Bool = false,
    whole: (MergeItem) throws(DiffError) -> Void = { _ throws(DiffError) in },
    _ body: (Merged) throws(DiffError) -> Void
  ) throws(DiffError) {
    let engine = MergeEngine(combination)
    var progress = ProgressCounter(phase, total: all.inputs.map(\.diff.size).clampedSum, handler)
    var waiting: [MergeTensor] = []
    var waitingWindows: [MergeWindow] = []
    var waitingChanges: UInt64 = 0
    var waitingTerms = 0
    func flush() throws(DiffError) {
      let merged = try engine.merge(waitingWindows, of: waiting)
      for (tensor, parts) in zip(waiting, merged) {
        try body(
          Merged(
            tensor: tensor, parts: parts, isFirst: true, isLast: true,
            largest: parts.map(\.largest).max()))
        progress.add(tensor.terms.map(\.additions.entry.storedSize).clampedSum)
      }
      waiting = []
      waitingWindows = []
      waitingChanges = 0
      waitingTerms = 0
    }
    for aligned in all.tensors {
      let item = try all.item(aligned, options)
      guard case .tensor(var tensor) = item else {
        try flush()
        try whole(item)
        continue
      }
      try preparation.select(&tensor)
      try preparation.weigh(&tensor, for: combination)
      let windows = tensor.windows(limit: all.windowLimit)
      if windows.count == 1 {
        // The number of terms is limited too, since the entries of many diffs take memory.
        if waitingChanges + tensor.changes > all.windowLimit || waitingTerms > 4096 {
          try flush()
        }
        waitingWindows.append(MergeWindow(tensor: waiting.count, elements: windows[0]))
        waiting.append(tensor)
        waitingChanges += tensor.changes
        waitingTerms += tensor.terms.count
        continue
      }
      try flush()
      var largest: Double?
      for window in windows where surveys {
        for part in try engine.merge(window, of: tensor) {
          largest = max(largest ?? 0, part.largest)
        }
      }
      for (index, window) in windows.enumerated() {
        let parts = try engine.merge(window, of: tensor)
        try body(
          Merged(
            tensor: tensor, parts: parts, isFirst: index == 0, isLast: index == windows.count - 1,
            largest: largest))
      }
      progress.add(tensor.terms.map(\.additions.entry.storedSize).clampedSum)
    }
    try flush()
    progress.finish()
  }

  // MARK: Preliminary passes

  /// Makes the preliminary passes of the method, and returns its arithmetic.
  mutating func combination() throws(DiffError) -> Combination {
    let usesWholes = options.variant == .reference
    if options.method == .ties, usesWholes {
      preparation.wholeSets = try wholeSets()
    }
    switch options.method {
    case .sum, .average, .dareLinear, .dellaLinear, .breadcrumbs, .modelStock:
      return .sum(scale: options.scale)
    case .ram: return .sharing(scale: options.scale)
    case .ramPlus:
      if usesWholes { preparation.soloFactors = try soloFactors() }
      return .sharing(scale: options.scale)
    case .sce: return .election(zeroIsPositive: true, scale: options.scale)
    case .ties, .dareTies, .della, .breadcrumbsTies:
      return .election(
        zeroIsPositive: usesWholes ? try isMajorityPositive() : true, scale: options.scale)
    }
  }

  /// Returns whether more positions have a positive sum than a negative one.
  private mutating func isMajorityPositive() throws(DiffError) -> Bool {
    var balance = 0
    try pass("vote", .vote) { merged throws(DiffError) in
      for part in merged.parts {
        let sums = part.sums
        for i in sums.indices { balance += sums[i] > 0 ? 1 : -1 }
      }
    }
    return balance > 0
  }

  /// Returns the changes that TIES keeps of each diff over all tensors.
  private func wholeSets() throws(DiffError) -> [TopSet] {
    let base = options.usedDensityOf
    var elements: [UInt64] = []
    for aligned in all.tensors {
      guard case .tensor(let tensor) = try all.item(aligned, options) else { continue }
      elements.append(tensor.shape.count)
    }
    let whole = elements.clampedSum
    var trims = all.inputs.map {
      (diff: $0.diff, share: $0.density?.usual ?? options.density ?? 1, set: TopSet.all)
    }
    try parallelForEach(&trims) { _, trim throws(DiffError) in
      let (diff, share) = (trim.diff, trim.share)
      guard share < 1 else { return }
      let stored = diff.reduce(0) { $0 + ($1.isAddition ? $1.count : 0) }
      let count = base == .elements ? whole : stored
      let wanted = share.portion(of: count) + 1
      guard wanted < stored else { return }
      func read(_ body: ([Double]) throws(DiffError) -> Void) throws(DiffError) {
        for entry in diff {
          try AdditiveReader(entry, of: diff)?.forEachPage { _, numbers throws(DiffError) in
            try body(numbers.map(\.magnitude).filter { $0 > 0 })
          }
        }
      }
      var search = TopSearch()
      try read { search.count($0) }
      let cut = try search.cut(wanted, read)
      trim.set = TopSet(cut: cut.least, tieEnd: cut.ties > 0 ? .max : 0)
    }
    return trims.map(\.set)
  }

  private mutating func soloFactors() throws(DiffError) -> [Double] {
    var counts = SoloCounts(diffs: all.inputs.count)
    for aligned in all.tensors {
      guard case .tensor(let tensor) = try all.item(aligned, options) else { continue }
      try preparation.count(tensor, into: &counts)
    }
    return counts.factors(options)
  }
}

extension MergeInputs {
  /// The maximum number of changes decoded at once, each of which takes 24 bytes with its result.
  var windowLimit: UInt64 { 5 << 18 + UInt64(inputs.count) << 10 }
}
