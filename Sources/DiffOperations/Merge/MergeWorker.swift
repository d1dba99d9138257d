import DiffFormat
import TensorCore

/// The changes of one page that lie in a window and take part.
struct ChangeSlice: Sendable {
  /// From the window's beginning on.
  var offsets: [UInt32] = []
  /// As stored.
  var values: [UInt8] = []
  /// What each is multiplied with, or nothing.
  var factors: [Double] = []
}

/// What one core needs to decode pages and to sum up blocks.
struct MergeWorker: Sendable {
  private let combination: Combination
  private var page = PageBuffer()
  private var block: MergeBlock
  private var numbers: [Double] = []
  /// What a block gives.
  private var harvested = MergedChanges()
  private var slices: [ChangeSlice] = []
  private var parts: [MergedPart] = []

  /// As many elements as stay in the cache of a core with their sums.
  private static let blockSize = 1 << 15

  init(_ combination: Combination) {
    self.combination = combination
    block = MergeBlock(
      size: Self.blockSize / combination.channels, channels: combination.channels)
  }

  mutating func takeSlices() -> [ChangeSlice] {
    defer { slices = [] }
    return slices
  }

  mutating func takeParts() -> [MergedPart] {
    defer { parts = [] }
    return parts
  }

  /// Decodes a page.
  mutating func read(
    _ task: PageTask, _ term: MergeTerm, _ window: Range<UInt64>
  ) throws(DiffError) {
    do { try page.load(task.page, of: term.entry, from: term.reader.source) } catch {
      throw error.at(path: term.reader.path)
    }
    slices.append(slice(task, term, window))
  }

  /// What of the page takes part.
  private func slice(_ task: PageTask, _ term: MergeTerm, _ window: Range<UInt64>) -> ChangeSlice {
    let range = page.changes(in: window)
    let width = page.valueWidth
    let offsets = page.offsets.extracting(range)
    let values = page.values.extracting(range.lowerBound * width..<range.upperBound * width)
    var slice = ChangeSlice()
    let shift = UInt32(truncatingIfNeeded: page.start &- window.lowerBound)
    if case .all = term.filter {
      _ = Kernels.rebase(offsets, by: shift, appendingTo: &slice.offsets)
      slice.values.append(copying: values)
      return slice
    }
    let (type, scale) = term.values
    let selected = term.filter.select(
      offsets, Patch.widen(values, type, scale), from: page.start,
      ordinal: task.ordinal + range.lowerBound)
    slice.factors = selected.factors
    slice.offsets.reserveCapacity(selected.indices.count)
    slice.values.reserveCapacity(selected.indices.count * width)
    for index in selected.indices {
      slice.offsets.append(offsets[index] &+ shift)
      for byte in index * width..<(index + 1) * width { slice.values.append(values[byte]) }
    }
    return slice
  }

  /// Where the summing of a term is.
  fileprivate struct Place {
    var slice = 0
    var index = 0
  }

  /// Sums up a part of a window.
  mutating func sum(
    _ task: PartTask, _ slices: [[ChangeSlice]], _ tensor: MergeTensor, from window: MergeWindow
  ) throws(DiffError) {
    var part = MergedPart(start: window.elements.lowerBound)
    part.changes.reserveCapacity(task.cost)
    var places = slices.map { Place.first(from: task.range.lowerBound, in: $0) }
    while true {
      // The block begins where the next change is.
      var next = task.range.upperBound
      for (term, place) in places.enumerated() where place.slice < slices[term].count {
        next = min(next, UInt64(slices[term][place.slice].offsets[place.index]))
      }
      guard next < task.range.upperBound else { break }
      let end = min(next + UInt64(block.size), task.range.upperBound)
      var room = 0
      for term in places.indices {
        room += add(slices[term], &places[term], tensor.terms[term], next..<end)
      }
      harvested.removeAll()
      block.harvest(from: UInt32(next), room: room, into: &harvested)
      combination.finish(&harvested)
      part.changes.append(harvested)
    }
    var largest = 0.0
    for sum in part.changes.sums { largest = max(largest, sum.magnitude) }
    part.largest = largest
    // The sum of numbers one of which is not finite is not finite; a maximum may miss it.
    guard (part.changes.sums.reduce(0) { $0 + $1 * 0 }) == 0 else {
      throw DiffError(
        .unsupported,
        "a merged change is not a finite number: a diff holds one that is not, or the weights are "
          + "too large", tensor: tensor.name)
    }
    parts.append(part)
  }

  /// Adds what a term has in a block; returns how many changes.
  private mutating func add(
    _ slices: [ChangeSlice], _ place: inout Place, _ term: MergeTerm, _ elements: Range<UInt64>
  ) -> Int {
    var count = 0
    let first = UInt32(elements.lowerBound)
    var numbers = numbers
    self.numbers = []
    defer { self.numbers = numbers }
    while place.slice < slices.count {
      let slice = slices[place.slice]
      let start = place.index
      guard UInt64(slice.offsets[start]) < elements.upperBound else { break }
      let end = slice.offsets.span.firstIndex(
        notBelow: elements.upperBound, from: 0, after: start)
      place.index = end
      if end == slice.offsets.count { place.advance(in: slices) }
      count += end - start
      Self.widen(slice, start..<end, term, into: &numbers)
      let offsets = slice.offsets.span.extracting(start..<end)
      let values = numbers.span.extracting(0..<end - start)
      if combination.isPlain {
        block.add(offsets, from: first, values)
      } else {
        block.add(offsets, from: first, values, terms: term.channelTerms)
      }
    }
    return count
  }

  /// Makes `numbers` begin with changes of a slice.
  private static func widen(
    _ slice: ChangeSlice, _ range: Range<Int>, _ term: MergeTerm, into numbers: inout [Double]
  ) {
    let (type, scale) = term.values
    let width = type.width
    if numbers.count < range.count { numbers = [Double](repeating: 0, count: range.count) }
    var out = numbers.mutableSpan._consumingExtracting(0..<range.count)
    Kernels.widen(
      slice.values.span.extracting(range.lowerBound * width..<range.upperBound * width), type,
      factor: .powerOfTwo(scale) * term.factor, into: &out)
    if !slice.factors.isEmpty {
      for i in 0..<range.count { out[i] *= slice.factors[range.lowerBound + i] }
    }
  }
}

extension MergeWorker.Place {
  /// The first change from an offset on.
  fileprivate static func first(from start: UInt64, in slices: [ChangeSlice]) -> Self {
    for (number, slice) in slices.enumerated() {
      let offsets = slice.offsets.span
      let index = offsets.firstIndex(notBelow: start, from: 0)
      if index < offsets.count { return Self(slice: number, index: index) }
    }
    return Self(slice: slices.count, index: 0)
  }

  /// Goes on to the next slice that is not empty.
  fileprivate mutating func advance(in slices: [ChangeSlice]) {
    index = 0
    repeat { slice += 1 } while slice < slices.count && slices[slice].offsets.isEmpty
  }
}

extension Span<UInt32> {
  /// The same from an index on, near which the answer is. O(log distance).
  fileprivate func firstIndex(
    notBelow position: UInt64, from origin: UInt64, after start: Int
  ) -> Int {
    var step = 64
    var low = start
    while low + step < count && origin + UInt64(self[low + step]) < position {
      low += step
      step *= 2
    }
    var high = Swift.min(count, low + step)
    while low < high {
      let middle = (low + high) / 2
      if origin + UInt64(self[middle]) < position { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
