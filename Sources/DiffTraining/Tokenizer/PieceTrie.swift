/// A map from byte strings to ids, as a tree whose edges are in one hash table; finds the longest
/// string at an index of a text.
struct PieceTrie: Sendable {
  /// The edges: node and byte, plus one, in the upper 32 bits, the target node in the lower; zero
  /// for an empty slot. Open addressing, at most half full.
  private var slots = [UInt64](repeating: 0, count: 1 << 10)
  /// The id of the string that ends at each node, or -1.
  private var ids: [Int32] = []

  /// Creates a tree with several roots, the nodes `0 ..< roots`, each with separate strings.
  init(roots: Int) { ids = Array(repeating: -1, count: roots) }

  /// The maximum number of nodes, so that an edge fits 32 bits.
  static let limit = (1 << 24) - 1

  /// Adds a string, or replaces its id.
  ///
  /// - Returns: False if the tree is full.
  mutating func insert(_ bytes: some Sequence<UInt8>, root: Int = 0, id: Int32) -> Bool {
    var node = UInt64(root)
    for byte in bytes {
      if let next = child(of: node, byte) {
        node = next
        continue
      }
      guard ids.count < Self.limit else { return false }
      if ids.count * 2 > slots.count { grow() }
      store((node << 8 | UInt64(byte)) + 1, UInt64(ids.count))
      node = UInt64(ids.count)
      ids.append(-1)
    }
    ids[Int(node)] = id
    return true
  }

  /// The id of a string, or nil.
  subscript(_ bytes: some Sequence<UInt8>) -> Int32? {
    var node: UInt64 = 0
    for byte in bytes {
      guard let next = child(of: node, byte) else { return nil }
      node = next
    }
    return ids[Int(node)] < 0 ? nil : ids[Int(node)]
  }

  /// Returns the longest string that `bytes` has at `start`, and its end. O(its length).
  func longest(in bytes: Span<UInt8>, at start: Int, root: Int) -> (id: Int32, end: Int)? {
    var best: (id: Int32, end: Int)?
    var node = UInt64(root)
    for index in start..<bytes.count {
      guard let next = child(of: node, bytes[index]) else { break }
      node = next
      let id = ids[Int(node)]
      if id >= 0 { best = (id, index + 1) }
    }
    return best
  }

  @inline(__always)
  private func child(of node: UInt64, _ byte: UInt8) -> UInt64? {
    let edge = (node << 8 | UInt64(byte)) + 1
    var slot = Self.hash(edge) & (slots.count - 1)
    while true {
      let entry = slots[slot]
      if entry >> 32 == edge { return entry & 0xFFFF_FFFF }
      if entry == 0 { return nil }
      slot = (slot + 1) & (slots.count - 1)
    }
  }

  private mutating func store(_ edge: UInt64, _ node: UInt64) {
    var slot = Self.hash(edge) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = edge << 32 | node
  }

  private mutating func grow() {
    let old = slots
    slots = Array(repeating: 0, count: old.count * 2)
    for entry in old where entry != 0 { store(entry >> 32, entry & 0xFFFF_FFFF) }
  }

  /// Returns a multiplicative hash (Knuth): the upper bits of a product are well mixed.
  @inline(__always)
  private static func hash(_ edge: UInt64) -> Int {
    Int(truncatingIfNeeded: (edge &* 0x9E37_79B9_7F4A_7C15) >> 36)
  }
}
