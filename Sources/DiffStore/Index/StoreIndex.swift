import TensorCore

/// What a store holds: its versions, each after its parent.
public struct StoreIndex: Sendable, Hashable {
  /// How often the store was changed.
  public internal(set) var generation: UInt64 = 0
  /// A version gets an anchor when the links since the last one take more than this share of a full
  /// copy…
  public internal(set) var anchorShare: Double
  /// … or are more than so many.
  public internal(set) var anchorLinks: UInt64
  /// The versions, in the order in which they were added.
  public internal(set) var versions: [StoreVersion] {
    get { all }
    set { (all, numbers) = (newValue, Self.numbers(newValue)) }
  }

  private var all: [StoreVersion] = []
  private var numbers: [String: Int] = [:]

  init(anchorShare: Double, anchorLinks: UInt64) {
    self.anchorShare = anchorShare
    self.anchorLinks = anchorLinks
  }

  private static func numbers(_ versions: [StoreVersion]) -> [String: Int] {
    Dictionary(versions.enumerated().map { ($1.name, $0) }) { first, _ in first }
  }

  /// The number of the version of a name.
  ///
  /// - Throws: `usage` if there is none, with the closest names.
  public func number(of name: String) throws(DiffError) -> Int {
    if let number = numbers[name] { return number }
    throw DiffError(.notFound, "there is no version '\(name)'" + hint(name))
  }

  private func hint(_ name: String) -> String {
    guard let last = versions.last else { return "" }
    return "; the last one added is '\(last.name)'"
  }

  /// Whether there is a version of a name.
  public func contains(_ name: String) -> Bool { numbers[name] != nil }

  /// The version of a name.
  public subscript(name: String) -> StoreVersion? { numbers[name].map { versions[$0] } }

  /// The number of a version's parent.
  func parent(of number: Int) -> Int? { versions[number].parent.flatMap { numbers[$0] } }

  /// The numbers of the versions that come from a version, by its number.
  var children: [Int: [Int]] {
    var children: [Int: [Int]] = [:]
    for number in versions.indices {
      if let parent = parent(of: number) { children[parent, default: []].append(number) }
    }
    return children
  }

  /// The numbers of a version and its ancestors, up to its root.
  func ancestry(of number: Int) -> [Int] {
    var line = [number]
    while let last = line.last, let parent = parent(of: last) { line.append(parent) }
    return line
  }

  /// The versions whose links lead from an anchor to a version, in order, and the version that has the
  /// anchor.
  func descent(to number: Int) -> (anchor: Int, links: [Int]) {
    var links: [Int] = []
    var at = number
    // Roots have anchors.
    while versions[at].anchor == nil, let parent = parent(of: at) {
      links.append(at)
      at = parent
    }
    return (at, links.reversed())
  }
}
