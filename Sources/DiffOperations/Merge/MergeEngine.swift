import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// Merged changes of a part of a window, to be used before the next windows are merged.
struct MergedPart: Sendable {
  /// What the offsets count from.
  var start: UInt64
  /// Where the changes are.
  let list: ChangeList
  var range: Range<Int>
  /// Positions that several diffs change, and those that are changed in both directions.
  var shared: UInt64 = 0, opposite: UInt64 = 0
  /// Positions whose changes came to zero, or to less than their rounding.
  var cancelled: UInt64 = 0
  /// Positions where the weights of what was elected cancel, so that nothing was divided.
  var undivided: UInt64 = 0
  /// The largest magnitude.
  var largest = 0.0

  /// One number for each position.
  var changes: ChangeView<Double> {
    @_lifetime(borrow self) get { list.changes(range, at: start) }
  }

  /// The numbers.
  var sums: Span<Double> { @_lifetime(borrow self) get { changes.values } }

  var magnitudes: [Double] {
    let sums = sums
    return sums.indices.map { sums[$0].magnitude }
  }
}

/// Merges windows of tensors, on all cores: pages are decoded into lists, then blocks of elements
/// are summed up. The result does not depend on the number of cores: every element gets its terms
/// in the order of the diffs.
final class MergeEngine {
  private let combination: Combination
  /// What each core works with, used again.
  private var workers: [MergeWorker]

  init(_ combination: Combination) {
    self.combination = combination
    // More than cores, since tasks differ; but each takes a megabyte.
    let count = max(ProcessorCount.online, min(2 * ProcessorCount.online, 8))
    workers = (0..<count).map { _ in MergeWorker(combination) }
  }

  /// Merges windows; returns the parts of each, in order, which are good until the next call.
  ///
  /// - Throws: what reading throws; `unsupported` where a merged change is not finite.
  /// - Complexity: O(changes in the windows and in pages that reach into them).
  func merge(
    _ windows: [MergeWindow], of tensors: [MergeTensor]
  ) throws(DiffError) -> [[MergedPart]] {
    for index in workers.indices { workers[index].removeAll() }
    let pages = windows.indices.flatMap { pageTasks($0, windows[$0], tensors) }
    let pageRuns = runs(of: pages.map(\.cost))
    try parallelForEach(&workers, count: pageRuns.count) { index, worker throws(DiffError) in
      for task in pages[pageRuns[index]] {
        let window = windows[task.window]
        try worker.read(task, tensors[window.tensor].terms[task.term], window.elements)
      }
    }
    // Tasks are in order of windows, terms and positions, and so are the cores that had them.
    var changes = [ChangeRuns](repeating: ChangeRuns(), count: windows.count)
    for worker in workers {
      for slice in worker.slices {
        let terms = tensors[windows[slice.window].tensor].terms[slice.term].channelTerms
        changes[slice.window].append(
          worker.decoded, slice.range, terms: terms, largest: slice.largest)
      }
    }
    let parts = windows.indices.flatMap { partTasks($0, windows[$0], changes[$0].count) }
    let partRuns = runs(of: parts.map(\.cost))
    let all = changes
    try parallelForEach(&workers, count: partRuns.count) { index, worker throws(DiffError) in
      for task in parts[partRuns[index]] {
        let window = windows[task.window]
        try worker.sum(task, all[task.window], tensors[window.tensor], from: window)
      }
    }
    var merged = [[MergedPart]](repeating: [], count: windows.count)
    for (run, worker) in zip(partRuns, workers) {
      for (task, part) in zip(parts[run], worker.parts) { merged[task.window].append(part) }
    }
    return merged
  }

  /// Merges one window of one tensor.
  func merge(
    _ elements: Range<UInt64>, of tensor: MergeTensor
  ) throws(DiffError) -> [MergedPart] {
    try merge([MergeWindow(tensor: 0, elements: elements)], of: [tensor])[0]
  }

  /// The pages that reach into a window.
  private func pageTasks(
    _ number: Int, _ window: MergeWindow, _ tensors: [MergeTensor]
  ) -> [PageTask] {
    var tasks: [PageTask] = []
    for (index, term) in tensors[window.tensor].terms.enumerated() {
      var ordinal = 0
      for page in term.additions.pages {
        if page.start < window.elements.upperBound && page.end > window.elements.lowerBound {
          tasks.append(PageTask(window: number, term: index, page: page, ordinal: ordinal))
        }
        ordinal += page.count
      }
    }
    return tasks
  }

  /// Cuts a window so that there is work for all cores, if it is worth the while.
  private func partTasks(
    _ number: Int, _ window: MergeWindow, _ changes: Int
  ) -> [PartTask] {
    let count = UInt64(min(workers.count, changes >> 15 + 1))
    let length = window.elements.upperBound - window.elements.lowerBound
    return (0..<count).map { part in
      PartTask(
        window: number, range: length * part / count..<length * (part + 1) / count,
        cost: changes / Int(count))
    }
  }

  /// Cuts a list of tasks into runs of about the same cost, one for each worker.
  private func runs(of costs: [Int]) -> [Range<Int>] {
    let total = costs.reduce(0, +)
    var runs: [Range<Int>] = []
    var start = 0
    var done = 0
    for (index, cost) in costs.enumerated() {
      done += cost
      if done * workers.count >= total * (runs.count + 1) {
        runs.append(start..<index + 1)
        start = index + 1
      }
      if runs.count == workers.count - 1 { break }
    }
    if start < costs.count { runs.append(start..<costs.count) }
    return runs
  }
}

/// A range of a tensor that is merged at once.
struct MergeWindow: Sendable {
  /// The number of the tensor among those worked on.
  var tensor: Int
  var elements: Range<UInt64>
}

/// A page to be decoded.
struct PageTask: Sendable {
  let window, term: Int
  let page: PageInfo
  /// Which change of the tensor the page begins with.
  let ordinal: Int

  /// In changes; a page has a cost of its own.
  var cost: Int { page.count + 200 }
}

/// A range of a window (counted from its beginning) to be summed up.
struct PartTask: Sendable {
  let window: Int
  let range: Range<UInt64>
  let cost: Int
}

/// Changes that one core has decoded for a term of a window, in its list.
struct ChangeSlice: Sendable {
  let window, term: Int
  var range: Range<Int>
  /// The largest magnitude.
  var largest: Double
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
    let largest = Kernels.largest(decoded.changes(start..<decoded.count).values)
    let last = slices.count - 1
    if last >= 0, slices[last].window == task.window, slices[last].term == task.term {
      slices[last].range = slices[last].range.lowerBound..<decoded.count
      slices[last].largest = max(slices[last].largest, largest)
    } else {
      slices.append(
        ChangeSlice(
          window: task.window, term: task.term, range: start..<decoded.count, largest: largest))
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
    // What is far below the largest change may be what rounding leaves of changes that cancel.
    let largest = combination.makesChanges ? changes.largest * combination.scale.magnitude : 0
    let smallest = largest.isFinite ? largest * 0x1p-44 : 0
    // A block begins where the next change is.
    while let next = cursor.next {
      let width = min(UInt64(block.size), task.range.upperBound - UInt64(next))
      block.add(&cursor, from: next, width: Int(width))
      block.harvest(from: next)
      part.shared += block.harvested.shared
      part.opposite += block.harvested.opposite
      let count = block.harvested.count
      part.undivided += combination.finish(
        &block.harvested, leastDivisor: tensor.leastDivisor)
      block.harvested.drop(upTo: smallest) { offset, number in
        number.magnitude > changes.rounding(at: offset) * combination.scale.magnitude
      }
      part.cancelled += UInt64(count - block.harvested.count)
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
