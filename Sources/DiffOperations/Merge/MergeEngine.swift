import DiffFormat
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
        changes[slice.window].append(worker.decoded, slice.range, terms: terms)
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
