import TensorCore

extension ParameterLayout {
  /// Returns the indices of the parameters that are trained: all but those that a glob matches, see
  /// `NamePattern`; here '/' and '.' differ. The head is always trained.
  ///
  /// - Returns: The indices, and the globs that match nothing, or only the head.
  /// - Complexity: O(parameters · globs · length²) at worst.
  public func trainable(frozen globs: [String]) -> (places: [Int], unused: [String]) {
    var unused: [String] = []
    var frozen: Set<Int> = []
    for glob in globs {
      let pattern = NamePattern(glob, joiningSeparators: false)
      let named = bodyIndices.filter { pattern.matches(parameters[$0].name) }
      if named.isEmpty { unused.append(glob) }
      frozen.formUnion(named)
    }
    return (parameters.indices.filter { !frozen.contains($0) }, unused)
  }
}
