import Checkpoints
import DiffFormat
import Platform
import TensorCore

/// Figures of one entry, or of several together.
public struct DiffStatistics: Sendable, Hashable {
  /// Elements of the tensors.
  public var elements: UInt64 = 0
  /// Elements that are changed.
  public var changes: UInt64 = 0
  /// Bytes of positions.
  public var positionBytes: UInt64 = 0
  /// Bytes of pages: positions, values and what frames them.
  public var storedBytes: UInt64 = 0
  /// Bits that no code of this many uniform positions can go below: log2 C(n, k).
  public var positionBound = 0.0
  /// Of additive values: the magnitudes' distribution.
  public var values = ValueDistribution()

  /// Changes / elements.
  public var density: Double { elements == 0 ? 0 : Double(changes) / Double(elements) }
  /// Bits that a position takes.
  public var bitsPerPosition: Double {
    changes == 0 ? 0 : Double(positionBytes) * 8 / Double(changes)
  }
  /// What `bitsPerPosition` would be at best, were positions uniform in each tensor.
  public var boundPerPosition: Double { changes == 0 ? 0 : positionBound / Double(changes) }
  /// Bytes of pages that a change takes.
  public var bytesPerChange: Double {
    changes == 0 ? 0 : Double(storedBytes) / Double(changes)
  }

  /// Adds the figures of another entry.
  mutating func add(_ other: DiffStatistics) {
    elements = [elements, other.elements].clampedSum
    changes += other.changes
    positionBytes += other.positionBytes
    storedBytes += other.storedBytes
    positionBound += other.positionBound
    values.add(other.values)
  }
}

/// How additive values are distributed.
public struct ValueDistribution: Sendable, Hashable {
  /// How many values, and how many of them are negative or zero. What is no number is only
  /// counted.
  public var count: UInt64 = 0, negative: UInt64 = 0, zero: UInt64 = 0
  /// The least and largest magnitude, zeros aside; 0 if there are only zeros.
  public var smallest = 0.0, largest = 0.0
  /// Sums of magnitudes and of squares.
  public var l1 = 0.0, squares = 0.0
  /// How many magnitudes there are in each binade: [2^e, 2^(e+1)).
  public var binades: [Int: UInt64] = [:]

  /// The Euclidean norm.
  public var l2: Double { squares.squareRoot() }
  /// The mean magnitude.
  public var meanMagnitude: Double { count == 0 ? 0 : l1 / Double(count) }

  mutating func add(_ values: [Double]) {
    // Exponents of finite numbers, from that of the least subnormal on.
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

/// The figures of a diff.
public struct DiffReport: Sendable {
  /// The figures of each entry, in order.
  public var entries: [(entry: DiffEntry, statistics: DiffStatistics)] = []
  /// Of the sparse entries together; whole tensors (insert, delete) are not counted.
  public var sparse = DiffStatistics()
  /// Bytes of whole tensors (insert, delete).
  public var wholeBytes: UInt64 = 0
  /// Bytes of the file.
  public var fileSize: UInt64 = 0
}

extension Diffs {
  /// Measures a diff by decoding all of it.
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

/// What N tasks take, as the paper counts it: one base and N diffs beside N full copies.
public struct StorageReport: Sendable, Hashable {
  /// Bytes of the base.
  public var base: UInt64
  /// Bytes of all diffs.
  public var diffs: UInt64
  /// Bytes of a full copy for each diff.
  public var copies: UInt64
  /// How many tasks.
  public var tasks: Int

  /// Counts a base file and diffs.
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

/// log2 of the number of ways to choose k of n.
package func log2Choose(_ n: UInt64, _ k: UInt64) -> Double {
  guard k > 0, k < n else { return 0 }
  let (n, k) = (Double(n), Double(k))
  return (lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)) / log(2)
}
