import TensorCore

extension ParameterLayout {
  /// Places of the parameters that are to be trained: all but those that a glob names, see
  /// `NamePattern`; here '/' and '.' differ. The head always is trained.
  ///
  /// - Returns: The places, and the globs that name nothing, or the head alone.
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
