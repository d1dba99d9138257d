import DiffFormat
import TensorCore

/// Merged changes of a part of a window.
struct MergedPart: Sendable {
  /// What the offsets count from.
  var start: UInt64
  /// Positions, and the one number of each.
  var changes = MergedChanges()
  /// The largest magnitude.
  var largest = 0.0
}

/// Merges windows of tensors, on all cores: pages are decoded into lists, then blocks of elements
/// are summed up. The result does not depend on the number of cores: every element gets its terms
/// in the order of the diffs.
struct MergeEngine {
  let combination: Combination
  /// What each core works with, used again.
  private var workers: [MergeWorker]

  init(_ combination: Combination) {
    self.combination = combination
    let worker = MergeWorker(combination)
    // More than cores, since tasks differ; but each takes a megabyte.
    let count = max(ProcessorCount.online, min(2 * ProcessorCount.online, 8))
    workers = [MergeWorker](repeating: worker, count: count)
  }

  /// Merges windows; returns the parts of each, in order.
  ///
  /// - Throws: what reading throws; `unsupported` where a merged change is not finite.
  /// - Complexity: O(changes in the windows and in pages that reach into them).
  mutating func merge(
    _ windows: [MergeWindow], of tensors: [MergeTensor]
  ) throws(DiffError) -> [[MergedPart]] {
    let pages = windows.indices.flatMap { pageTasks($0, windows[$0], tensors) }
    let pageRuns = runs(of: pages.map(\.cost))
    try parallelForEach(&workers, count: pageRuns.count) { index, worker throws(DiffError) in
      for task in pages[pageRuns[index]] {
        let window = windows[task.window]
        try worker.read(task, tensors[window.tensor].terms[task.term], window.elements)
      }
    }
    // The slices of each window, of each term in order.
    var slices = [[[ChangeSlice]]](repeating: [], count: windows.count)
    for (index, window) in windows.enumerated() {
      slices[index] = [[ChangeSlice]](repeating: [], count: tensors[window.tensor].terms.count)
    }
    for (run, index) in zip(pageRuns, workers.indices) {
      for (task, slice) in zip(pages[run], workers[index].takeSlices()) {
        slices[task.window][task.term].append(slice)
      }
    }
    let parts = windows.indices.flatMap { partTasks($0, windows[$0], slices[$0]) }
    let partRuns = runs(of: parts.map(\.cost))
    let all = slices
    try parallelForEach(&workers, count: partRuns.count) { index, worker throws(DiffError) in
      for task in parts[partRuns[index]] {
        let window = windows[task.window]
        try worker.sum(task, all[task.window], tensors[window.tensor], from: window)
      }
    }
    var merged = [[MergedPart]](repeating: [], count: windows.count)
    for (run, index) in zip(partRuns, workers.indices) {
      for (task, part) in zip(parts[run], workers[index].takeParts()) {
        merged[task.window].append(part)
      }
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
      for page in term.pages {
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
    _ number: Int, _ window: MergeWindow, _ slices: [[ChangeSlice]]
  ) -> [PartTask] {
    let changes = slices.joined().reduce(0) { $0 + $1.offsets.count }
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
