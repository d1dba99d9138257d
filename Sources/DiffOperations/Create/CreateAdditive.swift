import Checkpoints
import DiffFormat
import Kernels
import SystemSupport
import TensorCore

/// What an additive diff keeps of each tensor, found by reading both checkpoints beforehand.
struct AdditivePlan {
  private let values: FloatType
  /// Which changes are kept.
  private var cut: MagnitudeCut
  /// The largest change of each tensor that has one; infinite where that does not matter.
  private var largest: [TensorName: Double] = [:]
  /// Changed tensors that are not floats.
  private(set) var skipped: [TensorName] = []
  /// Elements that what is stored makes infinite, though the tuned ones are finite.
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
        // No scale, no cut: nothing has to be known beforehand.
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
        "has changed and is no float; make an exact diff", tensor: skipped[0],
        remedy: .skipNonfloat)
    }
    cut = try selection.cut(of: floats.map(\.shape.count).clampedSum) { count throws(DiffError) in
      try search.cut(count) { body throws(DiffError) in
        for pair in floats { try pair.forEachDelta(body) }
      }
    }
  }

  /// A block of both tensors and what is kept of its changes.
  fileprivate struct Work: Sendable {
    var base: [UInt8] = []
    var tuned: [UInt8] = []
    var baseHash = BlockHashes()
    var resultHash = BlockHashes()
    var deltas = ChangeRun<Double>()
    var stored = ChangeRun<UInt8>()
    var infinite = 0
    var rounded = 0
  }

  /// Writes the entry of a tensor that both have, unless nothing of it is kept.
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
    var works = [Work](repeating: Work(), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: pair.byteCount, width: pair.type.width) {
      window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try pair.baseFile.read(base, window[index], into: &work.base)
        try pair.tunedFile.read(tuned, window[index], into: &work.tuned)
        work.deltas = try pair.deltas(
          work.base, work.tuned, at: window[index].lowerBound / width, float)
        work.deltas.keep { $0.magnitude >= least && $0 != 0 }
      }
      // Which of the equals are kept depends on all that come before.
      for index in window.indices { keepTies(&works[index].deltas) }
      try parallelForEach(&works, count: window.count) { _, work throws(DiffError) in
        work.baseHash = BlockHashes(work.base.span)
        work.store(values, scale, float)
        work.resultHash = BlockHashes(work.base.span)
      }
      for work in works.prefix(window.count) {
        baseBuilder.append(work.baseHash)
        resultBuilder.append(work.resultHash)
        infinite += UInt64(work.infinite)
        rounded += UInt64(work.rounded)
        guard !work.stored.isEmpty else { continue }
        if changes == 0 {
          try writer.begin(DiffEntry(pair.name, operation, pair.type, pair.shape))
        }
        changes += UInt64(work.stored.count)
        try writer.append(work.stored)
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

extension AdditivePlan.Work {
  /// Makes the stored values, and of `base` what they make of it.
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
  /// Leaves out changes for whose value `isKept` does not hold.
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

  /// Where two blocks that begin at `position` differ, and by how much.
  fileprivate func deltas(
    _ base: [UInt8], _ tuned: [UInt8], at position: UInt64, _ float: FloatType
  ) throws(DiffError) -> ChangeRun<Double> {
    let found = Differences(from: base, to: tuned, width: type.width, at: position, .replace)
    let changes = found.changes
    var deltas = [Double](repeating: 0, count: changes.count)
    var out = deltas.mutableSpan
    Kernels.subtract(found.old.span, from: changes.values.span, float, into: &out)
    // What overflows the type of the addition would become infinite.
    let isFinite: (Double) -> Bool = float == .f64 ? \.isFinite : { Float($0).isFinite }
    if let index = deltas.firstIndex(where: { !isFinite($0) }) {
      throw DiffError(
        .unsupported,
        "the change at position \(changes.view.position(index)) is not finite; make an exact diff",
        tensor: name)
    }
    return ChangeRun(at: position, changes.offsets, deltas)
  }

  /// Calls `body` with the magnitudes of the changes that are not zero, block by block in order.
  fileprivate func forEachDelta(
    _ body: ([Double]) throws(DiffError) -> Void
  ) throws(DiffError) {
    guard let base, let tuned, let float = type.float else { return }
    let width = UInt64(type.width)
    var works = [(base: [UInt8], tuned: [UInt8], magnitudes: [Double])](
      repeating: ([], [], []), count: Blocks.perWindow)
    try Blocks.forEachWindow(of: byteCount, width: type.width) { window throws(DiffError) in
      try parallelForEach(&works, count: window.count) { index, work throws(DiffError) in
        try baseFile.read(base, window[index], into: &work.base)
        try tunedFile.read(tuned, window[index], into: &work.tuned)
        let all = try deltas(work.base, work.tuned, at: window[index].lowerBound / width, float)
        work.magnitudes = all.values.map(\.magnitude).filter { $0 > 0 }
      }
      for work in works.prefix(window.count) { try body(work.magnitudes) }
    }
  }
}
