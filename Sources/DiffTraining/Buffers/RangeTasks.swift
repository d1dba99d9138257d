import Kernels
import SystemSupport
import TensorCore

/// Ranges of flat buffers, cut and gathered into pieces of work of similar size. The cut depends
/// on the ranges alone, so that sums over pieces are the same for any number of threads.
struct RangeTasks: Sendable {
  private(set) var tasks: [[Range<Int>]] = [[]]
  private var room = Self.size

  /// How many values a piece has at most: buffers of it fit the second cache.
  private static let size = 1 << 15

  init(_ ranges: some Sequence<Range<Int>>) {
    for range in ranges { append(range) }
  }

  private mutating func append(_ range: Range<Int>) {
    var rest = range
    while !rest.isEmpty {
      if room == 0 {
        tasks.append([])
        room = Self.size
      }
      let part = rest.prefix(room)
      tasks[tasks.count - 1].append(part)
      room -= part.count
      rest = rest.dropFirst(part.count)
    }
  }

  /// Calls `body` for every range, on all cores.
  func forEach(_ body: @Sendable (Range<Int>) -> Void) {
    parallelFor(tasks.count) { index in
      Kernels.withoutSubnormals { for range in tasks[index] { body(range) } }
    }
  }

  /// The sum of what `body` says of every range, in the order of the ranges.
  func sum(_ body: @Sendable (Range<Int>) -> Double) -> Double {
    var sums = Array(repeating: 0.0, count: tasks.count)
    // Without a throwing body nothing is thrown; the compiler needs to be told.
    try? parallelForEach(&sums) { index, sum throws(DiffError) in
      for range in tasks[index] { sum += body(range) }
    }
    return sums.reduce(0, +)
  }
}
