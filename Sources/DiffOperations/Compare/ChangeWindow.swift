import Checkpoints
import DiffFormat
import Kernels
import TensorCore

/// A change of one of several diffs.
struct Change: Sendable {
  /// The position, from the beginning of its window on.
  var offset: UInt32
  var diff: UInt32
  /// A delta as the bits of a float64, or stored bits.
  var bits: UInt64

  var number: Double { Double(bitPattern: bits) }
}

/// What the values of an entry are to a comparison.
enum ChangeKind: Sendable, Hashable {
  /// Numbers that are added to the base.
  case delta
  /// New bits, or bits to be flipped, whose deltas are not known.
  case replacement, flip
}

/// The entries of several diffs for one tensor, of one type and shape.
struct ChangeGroup: Sendable {
  let name: TensorName
  let type: ElementType
  let shape: Shape
  var entries: [(diff: Int, entry: DiffEntry)]
  /// The tensor in the base, if that is at hand.
  var base: (checkpoint: any Checkpoint, tensor: StoredTensor)?

  /// Of each diff, what its values are here; nil where it has none.
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

  /// Cuts the tensor into windows that hold about `limit` changes at most, as far as pages tell.
  func windows(limit: UInt64) -> [Range<UInt64>] {
    // Offsets have 32 bits, and of a base the whole window is in memory.
    entries.lazy.flatMap { $0.entry.pages[.changes] ?? [] }
      .windows(limit: limit, widest: base == nil ? 1 << 32 : 1 << 21)
  }

  /// The changes inside of a window, by position and diff.
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

  /// Appends what an entry changes in a window that begins at `origin`, where the base has `old`.
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

  /// The deltas of values, or nil if they are not known.
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
  /// In order of offsets below 2^`keyBits`, those at one offset in the order that they are in: a
  /// radix sort, a linear number of steps.
  fileprivate func sorted(keyBits: Int) -> [Change] {
    let digit = 11
    guard var room = first.map({ [Change](repeating: $0, count: count) }) else { return self }
    var changes = self
    for shift in stride(from: 0, to: Swift.min(keyBits, 32), by: digit) {
      var places = [Int](repeating: 0, count: 1 << digit)
      for change in changes { places[Int(change.offset >> UInt32(shift)) & 0x7FF] += 1 }
      var place = 0
      for i in places.indices { (places[i], place) = (place, place + places[i]) }
      for change in changes {
        let key = Int(change.offset >> UInt32(shift)) & 0x7FF
        room[places[key]] = change
        places[key] += 1
      }
      swap(&changes, &room)
    }
    return changes
  }
}
