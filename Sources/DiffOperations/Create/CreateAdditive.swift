import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// The selection of the changes that an additive diff keeps, found by reading both checkpoints in
/// advance.
struct AdditivePlan {
  private let values: FloatType
  /// The cut that selects changes.
  private var cut: MagnitudeCut
  /// The largest change of each tensor that has one; infinite if it is not needed.
  private var largest: [TensorName: Double] = [:]
  /// The changed tensors that are not floats.
  private(set) var skipped: [TensorName] = []
  /// The number of elements that stored values make infinite, though the tuned ones are finite.
  private(set) var infinite: UInt64 = 0
  /// Changes that are left out since what is stored would be zero.
  private(set) var rounded: UInt64 = 0

  init(
    _ pairs: [TensorPair], _ selection: Selection, values: FloatType, skipsNonfloat: Bool,
    progress: inout ProgressCounter
  ) throws(DiffError) {
    self.values = values
    try selection.check()
    var floats: [TensorPair] = []
    var search = TopSearch()
    for pair in pairs where pair.base != nil && pair.tuned != nil && !pair.isReshape {
      if pair.type.float == nil {
        if try pair.isChanged() { skipped.append(pair.name) }
      } else if case .all = selection, values != .f16 {
        // Neither a scale nor a cut is needed, so the tensor is not read in advance.
        largest[pair.name] = .infinity
      } else {
        floats.append(pair)
        var most = 0.0
        try pair.forEachDelta { magnitudes throws(DiffError) in
          most = max(most, magnitudes.max() ?? 0)
          search.count(magnitudes)
        }
        if most > 0 { largest[pair.name] = most }
      }
      progress.add(pair.byteCount)
    }
    guard skipped.isEmpty || skipsNonfloat else {
      throw DiffError(
        .unsupported,
        "changes and is not a float tensor; make an exact diff", tensor: skipped[0],
        remedy: .skipNonfloat)
    }
    cut = try selection.cut(of: floats.map(\.shape.count).clampedSum) { count throws(DiffError) in
      try search.cut(count) { body throws(DiffError) in
        for pair in floats { try pair.forEachDelta(body) }
      }
    }
  }

  /// A block of both tensors and its kept changes.
  fileprivate struct BlockDeltas: Sendable {
    var base: [UInt8] = []
    var tuned: [UInt8] = []
    var baseHash = BlockHashes()
    var resultHash = BlockHashes()
    var deltas = ChangeRun<Double>()
    var stored = ChangeRun<UInt8>()
    var infinite = 0
    var rounded = 0
  }

  /// Writes the entry of a tensor that both have, unless none of its changes is kept.
  mutating func write(_ pair: TensorPair, _ writer: DiffWriter) throws(DiffError) -> WrittenPair {
    guard let base = pair.base, let tuned = pair.tuned else { return WrittenPair() }
    guard let float = pair.type.float, let most = largest[pair.name], most >= cut.least else {
      let fingerprint = try pair.baseFile.fingerprint(of: base)
      return WrittenPair(base: fingerprint, result: fingerprint)
    }
    let scale = DiffEntry.scale(forLargest: most, values, in: float)
    let operation = DiffOperation.add(values: values, scale: scale)
    let width = UInt64(pair.type.width)
    let (least, values) = (cut.least, values)
    var baseBuilder = Fingerprint.Builder(pair.type, pair.shape)
    var resultBuilder = baseBuilder
    var changes: UInt64 = 0
    var blocks = [BlockDeltas](repeating: BlockDeltas(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: pair.byteCount, width: pair.type.width) {
      window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try pair.baseFile.read(base, window[index], into: &block.base)
        try pair.tunedFile.read(tuned, window[index], into: &block.tuned)
        block.deltas = try pair.deltas(
          block.base, block.tuned, at: window[index].lowerBound / width, float)
        block.deltas.keep { $0.magnitude >= least && $0 != 0 }
      }
      // Sequential: which ties are kept depends on all preceding changes.
      for index in window.indices { keepTies(&blocks[index].deltas) }
      try parallelForEach(&blocks, count: window.count) { _, block throws(DiffError) in
        block.baseHash = BlockHashes(block.base.span)
        block.store(values, scale, float)
        block.resultHash = BlockHashes(block.base.span)
      }
      for block in blocks.prefix(window.count) {
        baseBuilder.append(block.baseHash)
        resultBuilder.append(block.resultHash)
        infinite += UInt64(block.infinite)
        rounded += UInt64(block.rounded)
        guard !block.stored.isEmpty else { continue }
        if changes == 0 {
          try writer.begin(DiffEntry(pair.name, operation, pair.type, pair.shape))
        }
        changes += UInt64(block.stored.count)
        try writer.append(block.stored)
      }
    }
    let written = WrittenPair(
      changes: changes > 0 ? changes : nil, base: baseBuilder.fingerprint,
      result: resultBuilder.fingerprint)
    if changes > 0 { try writer.end(base: written.base, result: written.result) }
    return written
  }

  private mutating func keepTies(_ deltas: inout ChangeRun<Double>) {
    guard cut.least > 0 else { return }
    var cut = cut
    deltas.keep { cut.keeps($0) }
    self.cut = cut
  }
}

extension AdditivePlan.BlockDeltas {
  /// Computes the stored values and adds them to `base`.
  fileprivate mutating func store(_ type: FloatType, _ scale: Int, _ tensor: FloatType) {
    // Half of the least number rounds to even.
    let limit = Double.powerOfTwo(scale) * type.leastMagnitude / 2
    rounded = deltas.count
    deltas.keep { $0.magnitude > limit }
    rounded -= deltas.count
    let stored = ChangeRun(
      at: deltas.start, deltas.offsets, Kernels.narrowed(deltas.values.span, type, scale))
    let numbers = stored.view.numbers(type, scale: scale)
    var block = base.mutableSpan
    infinite = ChangeView(at: stored.start, stored.offsets.span, numbers.span)
      .add(to: &block, tensor, at: stored.start)
    self.stored = stored
  }
}

extension ChangeRun<Double> {
  /// Removes changes whose values do not satisfy `isKept`.
  fileprivate mutating func keep(where isKept: (Double) -> Bool) {
    var kept = 0
    for i in offsets.indices where isKept(values[i]) {
      (offsets[kept], values[kept]) = (offsets[i], values[i])
      kept += 1
    }
    offsets.removeLast(count - kept)
    values.removeLast(values.count - kept)
  }
}

extension TensorPair {
  func isChanged() throws(DiffError) -> Bool {
    guard let base, let tuned else { return false }
    return try baseFile.fingerprint(of: base) != tunedFile.fingerprint(of: tuned)
  }

  /// Returns the deltas of two blocks that begin at `position`.
  fileprivate func deltas(
    _ base: [UInt8], _ tuned: [UInt8], at position: UInt64, _ float: FloatType
  ) throws(DiffError) -> ChangeRun<Double> {
    let found = Differences(from: base, to: tuned, width: type.width, at: position, .replace)
    let changes = found.changes
    var deltas = [Double](repeating: 0, count: changes.count)
    var out = deltas.mutableSpan
    Kernels.subtract(found.old.span, from: changes.values.span, float, into: &out)
    // A delta that overflows the type of the addition would become infinite.
    let isFinite: (Double) -> Bool = float == .f64 ? \.isFinite : { Float($0).isFinite }
    if let index = deltas.firstIndex(where: { !isFinite($0) }) {
      throw DiffError(
        .unsupported,
        "the change at position \(changes.view.position(index)) is not finite; make an exact diff",
        tensor: name)
    }
    return ChangeRun(at: position, changes.offsets, deltas)
  }

  /// Calls `body` with the magnitudes of the nonzero changes, block by block in order.
  fileprivate func forEachDelta(
    _ body: ([Double]) throws(DiffError) -> Void
  ) throws(DiffError) {
    guard let base, let tuned, let float = type.float else { return }
    let width = UInt64(type.width)
    var blocks = [(base: [UInt8], tuned: [UInt8], magnitudes: [Double])](
      repeating: ([], [], []), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: byteCount, width: type.width) { window throws(DiffError) in
      try parallelForEach(&blocks, count: window.count) { index, block throws(DiffError) in
        try baseFile.read(base, window[index], into: &block.base)
        try tunedFile.read(tuned, window[index], into: &block.tuned)
        let all = try deltas(block.base, block.tuned, at: window[index].lowerBound / width, float)
        block.magnitudes = all.values.map(\.magnitude).filter { $0 > 0 }
      }
      for block in blocks.prefix(window.count) { try body(block.magnitudes) }
    }
  }
}
