import DiffFormat
import SystemSupport

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
