import Checkpoints
import DiffFormat
import Platform
import TensorCore

/// The statistics of one entry, or of several together.
public struct DiffStatistics: Sendable, Hashable {
  /// The number of elements of the tensors.
  public var elements: UInt64 = 0
  /// The number of changed elements.
  public var changes: UInt64 = 0
  /// The size of the coded positions, in bytes.
  public var positionBytes: UInt64 = 0
  /// The size of the pages in bytes: positions, values and framing.
  public var storedBytes: UInt64 = 0
  /// The least number of bits that can code this many uniform positions: log2 C(n, k).
  public var positionBound = 0.0
  /// The distribution of additive values.
  public var values = ValueDistribution()

  /// The density: changes / elements.
  public var density: Double { elements == 0 ? 0 : Double(changes) / Double(elements) }
  /// The mean number of bits of a coded position.
  public var bitsPerPosition: Double {
    changes == 0 ? 0 : Double(positionBytes) * 8 / Double(changes)
  }
  /// The lower bound of `bitsPerPosition` if positions were uniform in each tensor.
  public var boundPerPosition: Double { changes == 0 ? 0 : positionBound / Double(changes) }
  /// The mean number of page bytes of a change.
  public var bytesPerChange: Double {
    changes == 0 ? 0 : Double(storedBytes) / Double(changes)
  }

  /// Adds the statistics of another entry.
  mutating func add(_ other: DiffStatistics) {
    elements = [elements, other.elements].clampedSum
    changes += other.changes
    positionBytes += other.positionBytes
    storedBytes += other.storedBytes
    positionBound += other.positionBound
    values.add(other.values)
  }
}

/// The distribution of additive values.
public struct ValueDistribution: Sendable, Hashable {
  /// The number of values, of negative values and of zeros. A NaN counts in `count` only.
  public var count: UInt64 = 0, negative: UInt64 = 0, zero: UInt64 = 0
  /// The least and greatest magnitude of nonzero values; 0 if there are none.
  public var smallest = 0.0, largest = 0.0
  /// The sums of the magnitudes and of the squares.
  public var l1 = 0.0, squares = 0.0
  /// The number of magnitudes in each binade [2^e, 2^(e+1)), by e.
  public var binades: [Int: UInt64] = [:]

  /// The Euclidean norm.
  public var l2: Double { squares.squareRoot() }
  /// The mean magnitude.
  public var meanMagnitude: Double { count == 0 ? 0 : l1 / Double(count) }

  mutating func add(_ values: [Double]) {
    // Exponents of finite numbers, starting with that of the least subnormal.
    let lowest = Double.leastNonzeroMagnitude.exponent
    var counts = [UInt64](
      repeating: 0, count: Int(Double.greatestFiniteMagnitude.exponent) + 1 - Int(lowest))
    count += UInt64(values.count)
    for value in values {
      let magnitude = value.magnitude
      guard !magnitude.isNaN else { continue }
      guard magnitude > 0 else {
        zero += 1
        continue
      }
      if value < 0 { negative += 1 }
      smallest = largest == 0 ? magnitude : min(smallest, magnitude)
      largest = max(largest, magnitude)
      l1 += magnitude
      squares += magnitude * magnitude
      if magnitude.isFinite { counts[Int(magnitude.exponent - lowest)] += 1 }
    }
    for (index, count) in counts.enumerated() where count > 0 {
      binades[index + Int(lowest), default: 0] += count
    }
  }

  mutating func add(_ other: ValueDistribution) {
    count += other.count
    negative += other.negative
    zero += other.zero
    if other.largest > 0 {
      smallest = largest == 0 ? other.smallest : min(smallest, other.smallest)
    }
    largest = max(largest, other.largest)
    l1 += other.l1
    squares += other.squares
    binades.merge(other.binades, uniquingKeysWith: +)
  }
}

/// The statistics of a diff.
public struct DiffReport: Sendable {
  /// The statistics of each entry, in order.
  public var entries: [(entry: DiffEntry, statistics: DiffStatistics)] = []
  /// The statistics of all sparse entries together, without whole tensors (insert, delete,
  /// reshape).
  public var sparse = DiffStatistics()
  /// The size of the entries of whole tensors (insert, delete, reshape), in bytes.
  public var wholeBytes: UInt64 = 0
  /// The size of the file in bytes.
  public var fileSize: UInt64 = 0
}

extension Diffs {
  /// Returns the statistics of a diff, decoding all of it.
  ///
  /// - Complexity: O(size of the diff).
  public static func statistics(of diff: DiffReader) throws(DiffError) -> DiffReport {
    var report = DiffReport()
    report.fileSize = diff.size
    var page = PageBuffer()
    for entry in diff {
      var statistics = DiffStatistics()
      statistics.elements = entry.shape.count
      statistics.changes = entry.count
      statistics.storedBytes = entry.storedSize
      for info in entry.pages[.changes] ?? [] {
        try page.load(info, of: entry, from: diff.source)
        statistics.positionBytes += UInt64(page.encoding.positionBytes)
        guard case .add(let type, let scale) = entry.operation else { continue }
        statistics.values.add(page.changes.numbers(type, scale: scale))
      }
      switch entry.operation {
      case .insert, .delete, .reshape: report.wholeBytes += entry.storedSize
      case .add, .replace, .xor:
        statistics.positionBound = log2Choose(entry.shape.count, entry.count)
        report.sparse.add(statistics)
      }
      report.entries.append((entry, statistics))
    }
    return report
  }
}

/// The storage of N tasks as the paper counts it: one base and N diffs against N full copies.
public struct StorageReport: Sendable, Hashable {
  /// The size of the base in bytes.
  public var base: UInt64
  /// The size of all diffs in bytes.
  public var diffs: UInt64
  /// The size in bytes of one full copy for each diff.
  public var copies: UInt64
  /// The number of tasks.
  public var tasks: Int

  /// Creates a report from the sizes of a base and diffs.
  public init(base: UInt64, diffs: [UInt64]) {
    self.base = base
    self.diffs = diffs.reduce(0, +)
    tasks = diffs.count
    copies = base * UInt64(diffs.count)
  }

  /// (base + diffs) / base: 1.05 for nine tasks in the paper.
  public var ratio: Double { base == 0 ? 0 : Double(base + diffs) / Double(base) }
  /// copies / (base + diffs).
  public var saving: Double {
    base + diffs == 0 ? 0 : Double(copies) / Double(base + diffs)
  }
}

/// Returns log2 of the number of ways to choose k of n.
package func log2Choose(_ n: UInt64, _ k: UInt64) -> Double {
  guard k > 0, k < n else { return 0 }
  let (n, k) = (Double(n), Double(k))
  return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2)
}
