import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// How the values of a tensor, or of several together, are distributed.
public struct TensorStatistics: Sendable, Hashable {
  /// Elements, and how many of them are zero, and infinite or no number.
  public var elements: UInt64 = 0, zero: UInt64 = 0, nonFinite: UInt64 = 0
  /// The least and the greatest finite value; infinities the other way round if there is none.
  public var least = Double.infinity, greatest = -Double.infinity
  /// Sums of the finite values and of their squares.
  public var sum = 0.0, squares = 0.0

  /// The mean of the finite values.
  public var mean: Double { finite == 0 ? 0 : sum / finite }
  /// Their standard deviation.
  public var deviation: Double {
    finite == 0 ? 0 : max(0, squares / finite - mean * mean).squareRoot()
  }
  /// Their Euclidean norm.
  public var l2: Double { squares.squareRoot() }

  private var finite: Double { Double(elements - nonFinite) }

  mutating func add(_ values: [Double]) {
    for value in values {
      elements += 1
      guard value.isFinite else {
        nonFinite += 1
        continue
      }
      if value == 0 { zero += 1 }
      least = min(least, value)
      greatest = max(greatest, value)
      sum += value
      squares += value * value
    }
  }

  mutating func add(_ other: TensorStatistics) {
    elements += other.elements
    zero += other.zero
    nonFinite += other.nonFinite
    least = min(least, other.least)
    greatest = max(greatest, other.greatest)
    sum += other.sum
    squares += other.squares
  }
}

/// What measures a block.
private struct BlockMeasure: Sendable {
  var bytes: [UInt8] = []
  var statistics = TensorStatistics()
}

extension Checkpoint {
  /// Measures the float tensors of a checkpoint: nil for tensors of other types.
  ///
  /// - Complexity: O(bytes), on all cores, in memory of a window of blocks.
  public func statistics(
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> [(tensor: StoredTensor, statistics: TensorStatistics?)] {
    var works = [BlockMeasure](repeating: BlockMeasure(), count: Blocks.perWindow)
    let floats = tensors.filter { $0.type.float != nil }
    var progress = ProgressCounter("measure", total: floats.map(\.byteCount).clampedSum, handler)
    var report: [(tensor: StoredTensor, statistics: TensorStatistics?)] = []
    for tensor in tensors {
      guard let type = tensor.type.float else {
        report.append((tensor, nil))
        continue
      }
      var all = TensorStatistics()
      try Blocks.forEachWindow(of: tensor.byteCount, width: tensor.type.width) {
        window throws(DiffError) in
        try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
          try read(tensor, window[index], into: &work.bytes)
          work.statistics = TensorStatistics()
          work.statistics.add(Kernels.widened(work.bytes.span, type, 0))
        }
        // In the order of the blocks, so that sums do not depend on the number of cores.
        for work in works.prefix(window.count) { all.add(work.statistics) }
        progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
      }
      report.append((tensor, all))
    }
    return report
  }
}
