import Algorithms
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension MergeRun {
  /// Writes the merged diff.
  mutating func write(to sink: any ByteSink) throws(DiffError) -> MergeSummary {
    var summary = MergeSummary()
    let combination = try combination()
    var pruning = try options.pruneTo.map { share throws(DiffError) in
      try MergePruning(share, &self, combination)
    }
    let writer = try DiffWriter(
      sink, metadata: metadata, profile: options.profile,
      packed: all.diffs.contains(where: \.hasPackedElements))
    let values = options.values
    var count: UInt64 = 0
    var scale = 0
    func add(_ merged: Merged) throws(DiffError) {
      let tensor = merged.tensor
      if merged.isFirst {
        count = 0
        summary.tensors.append(
          MergeSummary.Tensor(
            name: tensor.name, diffs: tensor.terms.count, elements: tensor.shape.count,
            read: tensor.changes))
        let largest = pruning?.largest[tensor.key] ?? merged.largest ?? 0
        scale = DiffEntry.scale(forLargest: largest, values, in: tensor.float)
        try check(largest, fits: values, scale: scale, in: tensor)
      }
      let last = summary.tensors.count - 1
      for var part in merged.parts {
        summary.tensors[last].shared += part.shared
        summary.tensors[last].opposite += part.opposite
        summary.tensors[last].cancelled += part.cancelled
        summary.tensors[last].undivided += part.undivided
        pruning?.prune(&part)
        summary.tensors[last].rounded += part.dropRounded(values, scale)
        guard !part.range.isEmpty else { continue }
        if count == 0 {
          try writer.begin(
            DiffEntry(
              tensor.name, .add(values: values, scale: scale), tensor.type, tensor.shape,
              base: tensor.base))
        }
        count += UInt64(part.range.count)
        for indices in (0..<part.range.count).chunks(ofCount: Layout.pageCapacity) {
          let sums = part.changes.extracting(indices)
          if part.largest >= tensor.float.overflow {
            for index in sums.values.indices
            where sums.values[index].magnitude >= tensor.float.overflow {
              summary.tensors[last].beyondRange += 1
            }
          }
          let stored = Kernels.narrowed(sums.values, values, scale)
          try writer.append(ChangeView(at: sums.start, sums.offsets, stored.span))
        }
      }
      if merged.isLast && count > 0 { try writer.end() }
      summary.tensors[last].changes = count
    }
    func copy(_ item: MergeItem) throws(DiffError) {
      switch item {
      case .tensor: break
      case .dropped(let name): summary.dropped.append(name)
      case .whole(let diff, let entry):
        try writer.copy(entry, of: diff)
        summary.whole.append(entry.name)
      }
    }
    try pass("merge", combination, surveys: pruning == nil, whole: copy, add)
    let kept = Set(summary.whole.map(\.key))
    let attributes = KeptAttributes(
      merging: all.diffs.map { diff in KeptAttributes(diff) { kept.contains($0.name.key) } })
    writer.carry(attributes.carried)
    summary.attributesLeftOut = attributes.leftOut
    summary.unrelated = try all.unrelated()
    summary.untrimmed = try untrimmed()
    if options.refusesLosses { try summary.refuseLosses() }
    try writer.finish()
    return summary
  }
}

extension MergedPart {
  /// Removes changes that the type of the values rounds to zero; returns their number.
  fileprivate mutating func dropRounded(_ values: FloatType, _ scale: Int) -> UInt64 {
    // Half of the least number rounds to even, which is zero.
    let limit = .powerOfTwo(scale) * values.leastMagnitude / 2
    guard Kernels.count(sums, upTo: limit) > 0 else { return 0 }
    let kept = list.keep(range) { $0.magnitude > limit }
    defer { range = range.lowerBound..<range.lowerBound + kept }
    return UInt64(range.count - kept)
  }
}

extension MergeRun {
  /// Returns the diffs of which nothing is trimmed despite a density below 1 (for TIES and
  /// breadcrumbs).
  fileprivate func untrimmed() throws(DiffError) -> [String] {
    guard [.largest, .middle].contains(options.method.selection),
      options.usedDensityOf == .elements
    else { return [] }
    var isTrimmed = [Bool?](repeating: nil, count: all.inputs.count)
    for aligned in all.tensors {
      guard case .tensor(let tensor) = try all.item(aligned, options) else { continue }
      for term in tensor.terms where term.density < 1 {
        let isWhole = term.keepsAll(of: tensor.shape, options.method)
        isTrimmed[term.diff] = (isTrimmed[term.diff] ?? false) || !isWhole
      }
    }
    return zip(isTrimmed, all.inputs).compactMap { $0 == false ? $1.name : nil }
  }
}

extension MergeInputs {
  /// Returns the diffs that share no changed tensor with another diff; none for a single diff.
  fileprivate func unrelated() throws(DiffError) -> [String] {
    var isAlone = [Bool?](repeating: nil, count: inputs.count)
    for tensor in tensors {
      let entries = tensor.entries(in: diffs).filter(\.entry.isAddition)
      for (diff, _) in entries { isAlone[diff] = (isAlone[diff] ?? true) && entries.count == 1 }
    }
    guard inputs.count > 1 else { return [] }
    return zip(isAlone, inputs).compactMap { $0 == true ? $1.name : nil }
  }
}

extension MergeSummary {
  /// Refuses a merge with losses.
  fileprivate func refuseLosses() throws(DiffError) {
    let total = total
    let losses = [
      (total.beyondRange, "are out of range of their tensors"),
      (total.rounded, "round to zero"), (total.cancelled, "cancel"),
    ].filter { $0.0 > 0 }
    guard !losses.isEmpty else { return }
    throw DiffError(
      .unsupported,
      "of the merged changes " + losses.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        + "; nothing was written", remedy: .allowLosses)
  }
}

/// Refuses a tensor whose largest change is out of range of the type of the values.
private func check(
  _ largest: Double, fits values: FloatType, scale: Int, in tensor: MergeTensor
) throws(DiffError) {
  let stored = Kernels.widened(Kernels.narrowed([largest].span, values, scale).span, values, scale)
  guard stored[0].isFinite else {
    throw DiffError(
      .unsupported, "a merged change of \(largest) is out of range of \(values)",
      tensor: tensor.name)
  }
}

/// Keeps the largest changes of a merge over all tensors.
struct MergePruning {
  /// The largest merged change of each tensor, by its key.
  private(set) var largest: [TensorName.Key: Double] = [:]
  private var cut: MagnitudeCut

  /// Finds the cut, in as many passes over the merge as required.
  init(
    _ share: Double, _ run: inout MergeRun, _ combination: Combination
  ) throws(DiffError) {
    var search = TopSearch()
    var elements: [UInt64] = []
    var largest: [TensorName.Key: Double] = [:]
    try run.pass("survey", combination) { merged throws(DiffError) in
      if merged.isFirst { elements.append(merged.tensor.shape.count) }
      for part in merged.parts {
        search.count(part.magnitudes)
        largest[merged.tensor.key] = max(largest[merged.tensor.key] ?? 0, part.largest)
      }
    }
    cut = try search.cut(share.portion(of: elements.clampedSum)) { body throws(DiffError) in
      try run.pass("survey", combination) { merged throws(DiffError) in
        for part in merged.parts { try body(part.magnitudes) }
      }
    }
    self.largest = largest
  }

  /// Removes changes below the cut; must be called with all parts in order.
  mutating func prune(_ part: inout MergedPart) {
    var cut = cut
    let kept = part.list.keep(part.range) { cut.keeps($0) }
    self.cut = cut
    part.range = part.range.lowerBound..<part.range.lowerBound + kept
  }
}

extension MergeRun {
  /// The diff whose task metadata is kept: that of the chosen head, or the first given.
  private var headDiff: DiffReader? {
    let tasks = all.inputs.indices.filter { !all.inputs[$0].diff.taskMetadata.isEmpty }
    let first = tasks.min { all.given[$0] < all.given[$1] }
    let chosen =
      switch options.heads {
      case .drop: tasks.count == 1 ? first : nil
      case .named(let name): tasks.first { all.inputs[$0].isNamed(name) } ?? first
      case .refuse, .first: first
      }
    return chosen.map { all.inputs[$0].diff }
  }

  /// The metadata of the task and of the merge: `diffkit.merge.method` and the parameters of the
  /// method as used, and for each parent `diffkit.merge.parent.N`: identity, weight, file name.
  var metadata: [String: String] {
    var metadata = headDiff?.taskMetadata ?? [:]
    metadata.merge(options.metadata) { $1 }
    func put(_ key: String, _ value: (any CustomStringConvertible)?) {
      if let value { metadata["diffkit.merge." + key] = value.description }
    }
    let method = options.method
    put("method", method.rawValue)
    put("scale", options.scale)
    if method.elects || method == .ramPlus { put("variant", options.variant.rawValue) }
    put("normalize", options.normalizes)
    if method.selection != .all {
      put("density", used(\.density, options.density ?? 1))
      put("density-of", options.usedDensityOf.rawValue)
    }
    switch method.selection {
    case .random, .ranked:
      put("seed", options.seed)
      put("rescale", options.usedRescale.rawValue)
    case .middle:
      put("gamma", used(\.gamma, options.gamma))
      put("rescale", options.usedRescale.rawValue)
    default: put("rescale", options.rescale?.rawValue)
    }
    if method.selection == .ranked { put("epsilon", used(\.epsilon, options.epsilon)) }
    if method == .ramPlus {
      put("r", options.ramRate)
      put("alpha", options.ramLimit)
    }
    put("prune-to", options.pruneTo)
    let digits = String(all.inputs.count).count
    for (index, input) in all.inputs.enumerated() {
      let number = String(index + 1)
      let padded = String(repeating: "0", count: digits - number.count) + number
      let name = input.diff.path.map { " " + OutputFile.split($0).name } ?? ""
      put("parent.\(padded)", "\(input.identity) \(input.used(input.weight))\(name)")
    }
    return metadata
  }

  /// Returns the numbers that are used of a parameter: one for all diffs, or one for each, in the
  /// order of the parents.
  private func used(_ parameter: (MergeInput) -> MergeSetting?, _ usual: Double) -> String {
    let numbers = all.inputs.map { input in parameter(input).map(input.used) ?? "\(usual)" }
    return Set(numbers).count == 1 ? numbers[0] : numbers.joined(separator: ",")
  }
}

extension MergeInput {
  /// Returns the number of a setting that the diff's tensors have, or the least and the largest:
  /// `0.1...0.9`.
  fileprivate func used(_ setting: MergeSetting) -> String {
    guard !setting.isUniform else { return "\(setting.usual)" }
    let numbers = diff.filter(\.isAddition).map { setting[$0.name] }
    guard let least = numbers.min(), let most = numbers.max() else { return "\(setting.usual)" }
    return least == most ? "\(least)" : "\(least)...\(most)"
  }
}
