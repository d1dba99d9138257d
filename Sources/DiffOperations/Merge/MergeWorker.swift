import DiffFormat
import Kernels
import TensorCore

/// Changes that one core has decoded for a term of a window, in its list.
struct ChangeSlice: Sendable {
  let window, term: Int
  var range: Range<Int>
}

/// What one core needs to decode pages and to sum up blocks.
struct MergeWorker: Sendable {
  private let combination: Combination
  private var page = PageBuffer()
  private var block: MergeBlock
  /// Decoded changes: offsets from the beginning of a window, numbers times what the term says.
  let decoded = ChangeList()
  /// What became of them, part after part.
  let merged = ChangeList()
  /// Of `decoded`, in order of windows, terms and positions.
  private(set) var slices: [ChangeSlice] = []
  private(set) var parts: [MergedPart] = []

  /// As many sums as stay in the cache of a core.
  private static let blockSize = 1 << 15

  init(_ combination: Combination) {
    self.combination = combination
    block = MergeBlock(
      size: Self.blockSize / combination.channels, channels: combination.channels)
  }

  /// Forgets what was decoded and merged, and keeps the room.
  mutating func removeAll() {
    decoded.removeAll()
    merged.removeAll()
    slices.removeAll(keepingCapacity: true)
    parts.removeAll(keepingCapacity: true)
  }

  /// Decodes a page.
  mutating func read(
    _ task: PageTask, _ term: MergeTerm, _ window: Range<UInt64>
  ) throws(DiffError) {
    let additions = term.additions
    try page.load(task.page, of: additions.entry, from: additions.diff.source)
    let start = decoded.count
    decode(task, term, window)
    let last = slices.count - 1
    if last >= 0, slices[last].window == task.window, slices[last].term == task.term {
      slices[last].range = slices[last].range.lowerBound..<decoded.count
    } else {
      slices.append(
        ChangeSlice(window: task.window, term: task.term, range: start..<decoded.count))
    }
  }

  /// Appends what the page read last has in a window and what of that takes part.
  private func decode(_ task: PageTask, _ term: MergeTerm, _ window: Range<UInt64>) {
    let range = page.changes.indices(of: window)
    let changes = page.changes.extracting(range)
    let (type, scale) = (term.additions.type, term.additions.scale)
    if case .all = term.filter {
      decoded.append(
        changes, from: window.lowerBound, type, factor: .powerOfTwo(scale) * term.factor)
      return
    }
    let numbers = changes.numbers(type, scale: scale)
    let selected = term.filter.select(changes, numbers, ordinal: task.ordinal + range.lowerBound)
    let shift = changes.shift(to: window.lowerBound)
    decoded.reserve(selected.indices.count)
    for (number, index) in selected.indices.enumerated() {
      let factor = selected.factors.isEmpty ? 1 : selected.factors[number]
      decoded.append(changes.offsets[index] &+ shift, numbers[index] * term.factor * factor)
    }
  }

  /// Sums up a part of a window.
  mutating func sum(
    _ task: PartTask, _ changes: ChangeRuns, _ tensor: MergeTensor, from window: MergeWindow
  ) throws(DiffError) {
    let start = merged.count
    var part = MergedPart(start: window.elements.lowerBound, list: merged, range: start..<start)
    var cursor = ChangeCursor(changes, in: task.range)
    merged.reserve(cursor.count)
    // A block begins where the next change is.
    while let next = cursor.next {
      let width = min(UInt64(block.size), task.range.upperBound - UInt64(next))
      block.add(&cursor, from: next, width: Int(width))
      block.harvest(from: next)
      part.shared += block.harvested.shared
      part.opposite += block.harvested.opposite
      combination.finish(&block.harvested)
      merged.append(block.harvested.changes)
    }
    part.range = start..<merged.count
    part.largest = Kernels.largest(part.sums)
    guard part.largest.isFinite else {
      throw DiffError(
        .unsupported,
        "a merged change is not a finite number: a diff holds one that is not, or the weights are "
          + "too large", tensor: tensor.name)
    }
    parts.append(part)
  }
}
