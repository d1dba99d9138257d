import TensorCore

/// The index of a store: its versions, each after its parent.
public struct StoreIndex: Sendable, Hashable {
  /// The number of times that the index was written.
  public internal(set) var generation: UInt64 = 0
  /// The share of a full copy above which the links since the last anchor lead to a new one.
  public internal(set) var anchorShare: Double
  /// The maximum number of links between a version and its anchor.
  public internal(set) var anchorLinks: UInt64
  /// The files of the model in the folder `model`, such as its configuration and tokenizer.
  public internal(set) var model: [StoreFile] = []
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

  /// Returns the index in `versions` of the version of a name.
  ///
  /// - Throws: `notFound` if there is none.
  public func number(of name: String) throws(DiffError) -> Int {
    if let number = numbers[name] { return number }
    throw DiffError(.notFound, "there is no version '\(name)'" + hint(name))
  }

  private func hint(_ name: String) -> String {
    guard let last = versions.last else { return "" }
    return "; the last one added is '\(last.name)'"
  }

  /// Returns whether there is a version of a name.
  public func contains(_ name: String) -> Bool { numbers[name] != nil }

  /// The version of a name; nil if there is none.
  public subscript(name: String) -> StoreVersion? { numbers[name].map { versions[$0] } }

  /// Returns the index of a version's parent.
  func parent(of number: Int) -> Int? { versions[number].parent.flatMap { numbers[$0] } }

  /// The indices of the children of each version that has some.
  var children: [Int: [Int]] {
    var children: [Int: [Int]] = [:]
    for number in versions.indices {
      if let parent = parent(of: number) { children[parent, default: []].append(number) }
    }
    return children
  }

  /// Calls `body` for every version, each after its parent, with what it returned for the parent.
  ///
  /// - Complexity: O(versions) calls; O(log versions) results are held at one time.
  func visit<Result>(
    _ body: (_ number: Int, _ parent: Result?) throws(DiffError) -> Result?
  ) throws(DiffError) {
    var sizes = [Int](repeating: 1, count: versions.count)
    for number in versions.indices.reversed() {
      if let parent = parent(of: number) { sizes[parent] += sizes[number] }
    }
    let children = children
    var waiting: [(number: Int, parent: Result?)] = []
    for root in versions.indices where versions[root].parent == nil {
      waiting.append((root, nil))
      while let (number, parent) = waiting.popLast() {
        let result = try body(number, parent)
        // The last one has the most descendants, so few other results wait for them.
        for child in (children[number] ?? []).sorted(by: { sizes[$0] > sizes[$1] }) {
          waiting.append((child, result))
        }
      }
    }
  }

  /// Returns the indices of a version and its ancestors, up to its root.
  func ancestry(of number: Int) -> [Int] {
    var line = [number]
    while let last = line.last, let parent = parent(of: last) { line.append(parent) }
    return line
  }

  /// Returns the nearest version with an anchor, and the versions whose links lead from there to a
  /// version, in order.
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
