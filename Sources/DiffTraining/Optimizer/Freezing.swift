extension ParameterLayout {
  /// Places of the parameters that are to be trained: all but those that a glob names, in which
  /// `*` stands for any text and `?` for one scalar. The head always is.
  ///
  /// - Returns: The places, and the globs that name nothing, or the head alone.
  /// - Complexity: O(parameters · globs · length²) at worst.
  public func trainable(frozen globs: [String]) -> (places: [Int], unused: [String]) {
    let names = parameters.map { Array($0.name.unicodeScalars) }
    var unused: [String] = []
    var isFrozen = Array(repeating: false, count: parameters.count)
    for glob in globs {
      let pattern = Array(glob.unicodeScalars)[...]
      let named = names.indices.filter { Self.matches(names[$0][...], pattern) }
        .filter { !parameters[$0].isHead }
      if named.isEmpty { unused.append(glob) }
      for index in named { isFrozen[index] = true }
    }
    return (parameters.indices.filter { !isFrozen[$0] }, unused)
  }

  /// The last star takes one scalar more whenever the rest does not fit: no star before it ever
  /// has to be tried again.
  private static func matches(
    _ name: ArraySlice<Unicode.Scalar>, _ pattern: ArraySlice<Unicode.Scalar>
  ) -> Bool {
    var (name, pattern) = (name, pattern)
    var retry: (name: ArraySlice<Unicode.Scalar>, pattern: ArraySlice<Unicode.Scalar>)?
    while true {
      if pattern.first == "*" {
        pattern = pattern.dropFirst()
        retry = (name, pattern)
      } else if let scalar = name.first, let wanted = pattern.first,
        wanted == "?" || wanted == scalar
      {
        (name, pattern) = (name.dropFirst(), pattern.dropFirst())
      } else if name.isEmpty && pattern.isEmpty {
        return true
      } else if let last = retry, !last.name.isEmpty {
        retry = (last.name.dropFirst(), last.pattern)
        (name, pattern) = (last.name.dropFirst(), last.pattern)
      } else {
        return false
      }
    }
  }
}
