import Kernels
import SystemSupport
import TensorCore

/// Ranges of flat buffers, divided into tasks of similar size. The division depends on the ranges
/// only, so that sums over tasks are the same for any number of threads.
struct RangeTasks: Sendable {
  private(set) var tasks: [[Range<Int>]] = [[]]
  /// The number of values that the last task can still take.
  private var capacity = Self.size

  /// The maximum number of values in a task: its buffers fit the second-level cache.
  private static let size = 1 << 15

  init(_ ranges: some Sequence<Range<Int>>) {
    for range in ranges { append(range) }
  }

  private mutating func append(_ range: Range<Int>) {
    var rest = range
    while !rest.isEmpty {
      if capacity == 0 {
        tasks.append([])
        capacity = Self.size
      }
      let part = rest.prefix(capacity)
      tasks[tasks.count - 1].append(part)
      capacity -= part.count
      rest = rest.dropFirst(part.count)
    }
  }

  /// Calls `body` for every range, on all cores.
  func forEach(_ body: @Sendable (Range<Int>) -> Void) {
    parallelFor(tasks.count) { index in
      Kernels.withoutSubnormals { for range in tasks[index] { body(range) } }
    }
  }

  /// Returns the sum of `body` over all ranges, in their order.
  func sum(_ body: @Sendable (Range<Int>) -> Double) -> Double {
    var sums = Array(repeating: 0.0, count: tasks.count)
    // Nothing is thrown, since `body` does not throw; the compiler cannot infer that.
    try? parallelForEach(&sums) { index, sum throws(DiffError) in
      for range in tasks[index] { sum += body(range) }
    }
    return sums.reduce(0, +)
  }
}
