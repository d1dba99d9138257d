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
    let writer = try DiffWriter(sink, metadata: metadata, profile: options.profile)
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
        pruning?.prune(&part)
        guard !part.range.isEmpty else { continue }
        if count == 0 {
          try writer.begin(
            DiffEntry(
              tensor.name, .add(values: values, scale: scale), tensor.type, tensor.shape,
              base: tensor.base))
        }
        count += UInt64(part.range.count)
        for piece in (0..<part.range.count).chunks(ofCount: Layout.pageCapacity) {
          let sums = part.changes.extracting(piece)
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
    try writer.finish()
    return summary
  }
}

/// Refuses a change that the type of the values cannot hold: the largest tells.
private func check(
  _ largest: Double, fits values: FloatType, scale: Int, in tensor: MergeTensor
) throws(DiffError) {
  let stored = Kernels.widened(Kernels.narrowed([largest].span, values, scale).span, values, scale)
  guard stored[0].isFinite else {
    throw DiffError(
      .unsupported, "a merged change of \(largest) is more than \(values) holds",
      tensor: tensor.name)
  }
}

/// Keeps the largest changes of a merge over all tensors.
struct MergePruning {
  /// The largest merged change of each tensor, by its key.
  private(set) var largest: [TensorName.Key: Double] = [:]
  private var cut: MagnitudeCut

  /// Goes through the merge as often as it takes to find the cut.
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

  /// Leaves out what is below the cut; must see all changes in order.
  mutating func prune(_ part: inout MergedPart) {
    var cut = cut
    let kept = part.list.keep(part.range) { cut.keeps($0) }
    self.cut = cut
    part.range = part.range.lowerBound..<part.range.lowerBound + kept
  }
}

extension MergeRun {
  /// What the diff says of how it came about: `diffkit.merge.method` and the parameters that the
  /// method has, and for each parent `diffkit.merge.parent.N`: identity, weight, file name.
  var metadata: [String: String] {
    var facts = options.metadata
    func put(_ key: String, _ value: (any CustomStringConvertible)?) {
      if let value { facts["diffkit.merge." + key] = value.description }
    }
    let method = options.method
    put("method", method.rawValue)
    put("scale", options.scale)
    if method.elects || method == .ramPlus { put("variant", options.variant.rawValue) }
    if method.selection != .all {
      put("density", options.selectionDensity.share)
      put("density-of", options.selectionDensity.of.rawValue)
    }
    switch method.selection {
    case .random, .ranked:
      put("seed", options.seed)
      put("rescale", options.usedRescale.rawValue)
    case .middle:
      put("gamma", options.gamma)
      put("rescale", options.usedRescale.rawValue)
    default: break
    }
    if method.selection == .ranked { put("epsilon", options.epsilon) }
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
      put("parent.\(padded)", "\(input.diff.identity) \(input.weight)\(name)")
    }
    return facts
  }
}
