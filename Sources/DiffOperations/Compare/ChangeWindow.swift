import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// A change of one of several diffs.
struct Change: Sendable {
  /// The position, relative to the start of its window.
  var offset: UInt32
  var diff: UInt32
  /// The bits of a delta as a float64, or stored bits.
  var bits: UInt64

  var number: Double { Double(bitPattern: bits) }
}

/// The kind of an entry's values, as a comparison sees them.
enum ChangeKind: Sendable, Hashable {
  /// Numbers that are added to the base.
  case delta
  /// New bits, or bits to flip, whose deltas are unknown.
  case replacement, flip
}

/// The entries of several diffs for one tensor, of one type and shape.
struct ChangeGroup: Sendable {
  let name: TensorName
  let type: ElementType
  let shape: Shape
  var entries: [(diff: Int, entry: DiffEntry)]
  /// The tensor in the base, if a base is given.
  var base: (checkpoint: any Checkpoint, tensor: StoredTensor)?

  /// Returns the kind of each diff's values in this group; nil for a diff without an entry.
  func kinds(diffs: Int) -> [ChangeKind?] {
    var kinds = [ChangeKind?](repeating: nil, count: diffs)
    for (diff, entry) in entries { kinds[diff] = kind(of: entry) }
    return kinds
  }

  func kind(of entry: DiffEntry) -> ChangeKind {
    if case .add = entry.operation { return .delta }
    if base != nil && type.float != nil { return .delta }
    return entry.operation == .replace ? .replacement : .flip
  }

  /// Cuts the tensor into windows that hold at most about `limit` changes, estimated from the
  /// pages.
  func windows(limit: UInt64) -> [Range<UInt64>] {
    // Offsets have 32 bits; with a base, the whole window of it is in memory.
    entries.lazy.flatMap { $0.entry.pages[.changes] ?? [] }
      .windows(limit: limit, widest: base == nil ? 1 << 32 : 1 << 21)
  }

  /// Returns the changes inside a window, sorted by position and diff.
  ///
  /// - Complexity: O(changes of the pages that overlap the window).
  func changes(in window: Range<UInt64>, _ diffs: [DiffReader]) throws(DiffError) -> [Change] {
    var changes: [Change] = []
    var old: [UInt8] = []
    if let base {
      let width = UInt64(type.width)
      try base.checkpoint.read(
        base.tensor, window.lowerBound * width..<window.upperBound * width, into: &old)
    }
    var page = PageBuffer()
    for (diff, entry) in entries {
      let pages = entry.pages[.changes] ?? []
      for info in pages where info.start < window.upperBound && info.end > window.lowerBound {
        try page.load(info, of: entry, from: diffs[diff].source)
        append(
          page.changes.sliced(to: window), of: entry, diff: UInt32(diff),
          from: window.lowerBound, base: old, to: &changes)
      }
    }
    return changes.sorted(keyBits: 64 - (window.upperBound - window.lowerBound).leadingZeroBitCount)
  }

  /// Appends the changes of an entry in a window that begins at `origin` and whose bytes in the
  /// base are `old`.
  private func append(
    _ run: ChangeView<UInt8>, of entry: DiffEntry, diff: UInt32, from origin: UInt64,
    base old: [UInt8], to changes: inout [Change]
  ) {
    let numbers = self.numbers(run, of: entry, from: origin, base: old)
    let shift = run.shift(to: origin)
    changes.reserveCapacity(changes.count + run.count)
    for i in 0..<run.count {
      let bits =
        numbers.map { $0[i].bitPattern }
        ?? run.values.littleEndian(at: i * run.width, width: run.width)
      changes.append(Change(offset: run.offsets[i] &+ shift, diff: diff, bits: bits))
    }
  }

  /// Returns the deltas of the values, or nil if they are unknown.
  private func numbers(
    _ run: ChangeView<UInt8>, of entry: DiffEntry, from origin: UInt64, base old: [UInt8]
  ) -> [Double]? {
    if case .add(let type, let scale) = entry.operation { return run.numbers(type, scale: scale) }
    guard let float = type.float, base != nil else { return nil }
    let before = run.gathered(from: old.span, width: type.width, at: origin)
    var after = entry.operation == .xor ? before : []
    if entry.operation == .xor {
      var span = after.mutableSpan
      Kernels.xor(&span, with: run.values)
    } else {
      after.append(copying: run.values)
    }
    let (a, b) = (Kernels.widened(before.span, float, 0), Kernels.widened(after.span, float, 0))
    return zip(a, b).map { $1 - $0 }
  }
}

extension [Change] {
  /// Returns the changes in order of their offsets, which are below 2^`keyBits`. A stable radix
  /// sort: O(n).
  fileprivate func sorted(keyBits: Int) -> [Change] {
    let digit = 11
    guard var scratch = first.map({ [Change](repeating: $0, count: count) }) else { return self }
    var changes = self
    for shift in stride(from: 0, to: Swift.min(keyBits, 32), by: digit) {
      var starts = [Int](repeating: 0, count: 1 << digit)
      for change in changes { starts[Int(change.offset >> UInt32(shift)) & 0x7FF] += 1 }
      var start = 0
      for i in starts.indices { (starts[i], start) = (start, start + starts[i]) }
      for change in changes {
        let key = Int(change.offset >> UInt32(shift)) & 0x7FF
        scratch[starts[key]] = change
        starts[key] += 1
      }
      swap(&changes, &scratch)
    }
    return changes
  }
}
