import Checkpoints
import Kernels
import SystemSupport
import TensorCore

/// The distribution of the values of a tensor, or of several together.
public struct TensorStatistics: Sendable, Hashable {
  /// The number of elements, of zeros, and of infinities and NaNs.
  public var elements: UInt64 = 0, zero: UInt64 = 0, nonFinite: UInt64 = 0
  /// The least and the greatest finite value; +∞ and −∞ if there is none.
  public var least = Double.infinity, greatest = -Double.infinity
  /// The sums of the finite values and of their squares.
  public var sum = 0.0, squares = 0.0

  /// The mean of the finite values.
  public var mean: Double { finite == 0 ? 0 : sum / finite }
  /// The standard deviation of the finite values.
  public var deviation: Double {
    finite == 0 ? 0 : max(0, squares / finite - mean * mean).squareRoot()
  }
  /// The Euclidean norm of the finite values.
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

/// The buffer and statistics of one block.
private struct MeasuredBlock: Sendable {
  var bytes: [UInt8] = []
  var statistics = TensorStatistics()
}

extension Checkpoint {
  /// Returns the statistics of the float tensors of a checkpoint; nil for tensors of other types.
  ///
  /// - Complexity: O(bytes), on all cores; memory for a window of blocks.
  public func statistics(
    progress handler: ProgressHandler? = nil
  ) throws(DiffError) -> [(tensor: StoredTensor, statistics: TensorStatistics?)] {
    var blocks = [MeasuredBlock](repeating: MeasuredBlock(), count: Blocks.perWindow)
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
        try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
          try read(tensor, window[index], into: &block.bytes)
          block.statistics = TensorStatistics()
          block.statistics.add(Kernels.widened(block.bytes.span, type, 0))
        }
        // In the order of the blocks, so that sums do not depend on the number of cores.
        for block in blocks.prefix(window.count) { all.add(block.statistics) }
        progress.add(window.reduce(0) { $0 + $1.upperBound - $1.lowerBound })
      }
      report.append((tensor, all))
    }
    progress.finish()
    return report
  }
}
