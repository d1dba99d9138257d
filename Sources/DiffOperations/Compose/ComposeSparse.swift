import DiffFormat
import Kernels
import SystemSupport
import TensorCore

extension EntryChain {
  /// Writes the sparse entry composed of several; returns nil if nothing changes.
  func writeSparse(_ writer: DiffWriter) throws(DiffError) -> UInt64? {
    let first = entries[0].entry
    let (operation, isMixed) = try survey()
    guard !isMixed else {
      throw needsBase("is changed by XOR and by new bits, at different elements")
    }
    guard let operation else { return nil }
    var changes: UInt64 = 0
    try forEachBlock { elements, block throws(DiffError) in
      let run = block.changes(operation, at: elements.lowerBound)
      guard !run.isEmpty else { return }
      if changes == 0 { try writer.begin(DiffEntry(name, operation, first.type, first.shape)) }
      changes += UInt64(run.count)
      try writer.append(run)
    }
    // The old elements come from several diffs, none of which has their hash.
    try writer.end(base: entries[0].before, result: entries[entries.count - 1].after)
    return changes
  }

  /// Returns the operation of the composed entry, nil if nothing changes, and whether both
  /// operations are needed.
  private func survey() throws(DiffError) -> (operation: DiffOperation?, isMixed: Bool) {
    var replaces = false
    var inverts = false
    try forEachBlock { elements, block throws(DiffError) in
      if !block.changes(.replace, at: elements.lowerBound).isEmpty { replaces = true }
      if !block.changes(.xor, at: elements.lowerBound).isEmpty { inverts = true }
    }
    return (replaces ? .replace : inverts ? .xor : nil, replaces && inverts)
  }

  /// Calls `body` with the changes of all entries to each block that one of them changes.
  private func forEachBlock(
    _ body: (Range<UInt64>, borrowing ComposedBlock) throws(DiffError) -> Void
  ) throws(DiffError) {
    let width = entries[0].entry.type.width
    let length = UInt64(Blocks.size(width: width) / width)
    var feeds = entries.map { PageFeed($0.reader, $0.entry) }
    let scratches = Guarded<[PageScratch]>([])
    var block = ComposedBlock(count: Int(min(length, entries[0].entry.shape.count)), width: width)
    func change(_ elements: Range<UInt64>) throws(DiffError) {
      try feeds.move(to: elements, using: scratches)
      for feed in feeds {
        feed.forEachRun(of: elements) { changes in
          block.add(feed.entry.operation, changes, at: elements.lowerBound)
        }
      }
      try body(elements, block)
      block.clear()
    }
    // The blocks that pages overlap, ascending.
    let count = entries[0].entry.shape.count
    let pages = entries.flatMap { $0.entry.pages[.changes] ?? [] }.sorted { $0.start < $1.start }
    var next: UInt64 = 0
    for page in pages {
      next = max(next, page.start / length)
      while next * length < page.end {
        try change(next * length..<min(count, (next + 1) * length))
        next += 1
      }
    }
  }
}

/// The changes of a chain of sparse entries to a block of elements.
private struct ComposedBlock {
  private let width: Int
  /// The XOR or the new bits of each element.
  private var bytes: [UInt8]
  /// For each element, true if it has new bits.
  private var isNew: [Bool]
  /// The offsets of changed elements, in order of the entries.
  private var touched: [UInt32] = []

  init(count: Int, width: Int) {
    self.width = width
    bytes = [UInt8](repeating: 0, count: count * width)
    isNew = [Bool](repeating: false, count: count)
  }

  mutating func add(
    _ operation: DiffOperation, _ changes: ChangeView<UInt8>, at origin: UInt64
  ) {
    let offsets = changes.offsets(from: origin)
    if operation == .replace { for offset in offsets { isNew[Int(offset)] = true } }
    touched += offsets
    var span = bytes.mutableSpan
    changes.scatter(operation == .replace ? .replace : .xor, into: &span, at: origin)
  }

  /// Returns the elements with new bits, or those with a nonzero XOR.
  func changes(_ operation: DiffOperation, at origin: UInt64) -> ChangeRun<UInt8> {
    var sorted = touched
    var scratch = touched
    var keys = sorted.mutableSpan
    var buffer = scratch.mutableSpan
    Kernels.sort(&keys, scratch: &buffer)
    var offsets: [UInt32] = []
    for offset in sorted where offsets.last != offset {
      let isNew = isNew[Int(offset)]
      guard isNew == (operation == .replace) else { continue }
      let start = Int(offset) * width
      if isNew || bytes[start..<start + width].contains(where: { $0 != 0 }) {
        offsets.append(offset)
      }
    }
    return ChangeRun(
      at: origin, offsets, Kernels.gathered(bytes.span, width: width, at: offsets.span))
  }

  mutating func clear() {
    for offset in touched {
      isNew[Int(offset)] = false
      for byte in Int(offset) * width..<(Int(offset) + 1) * width { bytes[byte] = 0 }
    }
    touched.removeAll(keepingCapacity: true)
  }
}
