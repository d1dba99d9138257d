import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// The merged changes of a part of a window, valid until the next windows are merged.
struct MergedPart: Sendable {
  /// The position that the offsets are relative to.
  var start: UInt64
  /// The list that holds the changes.
  let list: ChangeList
  var range: Range<Int>
  /// The number of positions that several diffs change, and of those changed in both directions.
  var shared: UInt64 = 0, opposite: UInt64 = 0
  /// The number of positions whose changes sum to zero, or to less than their rounding errors.
  var cancelled: UInt64 = 0
  /// The number of positions where the weights of the elected diffs cancel, so that the sum was not
  /// divided.
  var undivided: UInt64 = 0
  /// The largest magnitude.
  var largest = 0.0

  /// The changes, with one number for each position.
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

/// Merges windows of tensors on all cores: pages are decoded into lists, then blocks of elements
/// are summed. The result does not depend on the number of cores: the terms of every element are
/// added in the order of the diffs.
final class MergeEngine {
  private let combination: Combination
  /// The reused buffers of each core.
  private var workers: [MergeWorker]

  init(_ combination: Combination) {
    self.combination = combination
    // More workers than cores, since the costs of tasks differ, but not many: each takes a
    // megabyte.
    let count = max(ProcessorCount.online, min(2 * ProcessorCount.online, 8))
    workers = (0..<count).map { _ in MergeWorker(combination) }
  }

  /// Merges windows; returns the parts of each, in order, which are valid until the next call.
  ///
  /// - Throws: the errors of reading; `unsupported` if a merged change is not finite.
  /// - Complexity: O(changes in the windows and in pages that overlap them).
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
    // Tasks are in order of windows, terms and positions, and so are the workers that ran them.
    var changes = [ChangeRuns](repeating: ChangeRuns(), count: windows.count)
    for worker in workers {
      for run in worker.runs {
        let terms = tensors[windows[run.window].tensor].terms[run.term].channelTerms
        changes[run.window].append(
          worker.decoded, run.range, terms: terms, largest: run.largest)
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

  /// Returns tasks for the pages that overlap a window.
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

  /// Cuts a window into parts for all cores, if it has enough changes.
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
  /// The index of the tensor in the list of tensors being merged.
  var tensor: Int
  var elements: Range<UInt64>
}

/// A page to decode.
struct PageTask: Sendable {
  let window, term: Int
  let page: PageInfo
  /// The index of the page's first change among those of the tensor.
  let ordinal: Int

  /// The cost in changes, plus a fixed cost of a page.
  var cost: Int { page.count + 200 }
}

/// A part of a window to sum; the range is relative to the start of the window.
struct PartTask: Sendable {
  let window: Int
  let range: Range<UInt64>
  let cost: Int
}

/// A run of changes that one core has decoded for a term of a window, in its list.
struct DecodedRun: Sendable {
  let window, term: Int
  var range: Range<Int>
  /// The largest magnitude.
  var largest: Double
}

/// The buffers of one core for decoding pages and summing blocks.
struct MergeWorker: Sendable {
  private let combination: Combination
  private var page = PageBuffer()
  private var block: MergeBlock
  /// The decoded changes: offsets relative to the start of a window, numbers times the factors of
  /// the term.
  let decoded = ChangeList()
  /// The merged changes, part after part.
  let merged = ChangeList()
  /// The runs of `decoded`, in order of windows, terms and positions.
  private(set) var runs: [DecodedRun] = []
  private(set) var parts: [MergedPart] = []

  /// The number of sums that fit in the cache of a core.
  private static let blockSize = 1 << 15

  init(_ combination: Combination) {
    self.combination = combination
    block = MergeBlock(
      size: Self.blockSize / combination.channels, channels: combination.channels)
  }

  /// Removes decoded and merged changes, keeping the capacity.
  mutating func removeAll() {
    decoded.removeAll()
    merged.removeAll()
    runs.removeAll(keepingCapacity: true)
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
    let last = runs.count - 1
    if last >= 0, runs[last].window == task.window, runs[last].term == task.term {
      runs[last].range = runs[last].range.lowerBound..<decoded.count
      runs[last].largest = max(runs[last].largest, largest)
    } else {
      runs.append(
        DecodedRun(
          window: task.window, term: task.term, range: start..<decoded.count, largest: largest))
    }
  }

  /// Appends the selected changes, within a window, of the page that was read last.
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

  /// Sums a part of a window.
  mutating func sum(
    _ task: PartTask, _ changes: ChangeRuns, _ tensor: MergeTensor, from window: MergeWindow
  ) throws(DiffError) {
    let start = merged.count
    var part = MergedPart(start: window.elements.lowerBound, list: merged, range: start..<start)
    var cursor = ChangeCursor(changes, in: task.range)
    merged.reserve(cursor.count)
    // A sum far below the largest change may be the rounding error of changes that cancel.
    let largest = combination.makesChanges ? changes.largest * combination.scale.magnitude : 0
    let smallest = largest.isFinite ? largest * 0x1p-44 : 0
    // A block begins at the next change.
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
        "a merged change is not finite: a change of a diff is not, or the weights are "
          + "too large", tensor: tensor.name)
    }
    parts.append(part)
  }
}
