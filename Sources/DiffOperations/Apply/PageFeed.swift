import DiffFormat
import SystemSupport
import TensorCore

/// The decoded pages of one entry that overlap a window moving forward through its tensor.
struct PageFeed: Sendable {
  private let source: any ByteSource
  let entry: DiffEntry
  private let stream: DiffStream
  private let pages: [PageInfo]
  /// The index of the next page to decode.
  private var next = 0
  /// The buffers, of which the first `active` hold pages of the window, in order.
  private var buffers: [PageBuffer] = []
  private var active = 0

  init(_ reader: DiffReader, _ entry: DiffEntry, _ stream: DiffStream = .changes) {
    source = reader.source
    self.entry = entry
    self.stream = stream
    pages = entry.pages[stream] ?? []
  }

  /// The pages of the window.
  var window: ArraySlice<PageBuffer> { buffers[..<active] }

  /// Moves the window: releases pages that end before `elements` and decodes, on all cores, those
  /// that begin inside.
  mutating func move(to elements: Range<UInt64>) throws(DiffError) {
    let (source, entry, stream) = (source, entry, stream)
    var entering = enter(elements)
    try parallelForEach(&entering) { _, item throws(DiffError) in
      try item.buffer.load(item.page, of: entry, stream, from: source)
    }
    hold(entering)
  }

  /// Moves the window as `move(to:)` does, on one core, in memory that other feeds use, too.
  mutating func move(
    to elements: Range<UInt64>, using scratch: inout PageScratch
  ) throws(DiffError) {
    var entering = enter(elements)
    for index in entering.indices {
      try entering[index].buffer.load(
        entering[index].page, of: entry, stream, from: source, using: &scratch)
    }
    hold(entering)
  }

  /// Releases pages that end before `elements`; returns those that begin inside, with a buffer each.
  private mutating func enter(
    _ elements: Range<UInt64>
  ) -> [(page: PageInfo, buffer: PageBuffer)] {
    let passed = buffers[..<active].prefix { $0.changes.end <= elements.lowerBound }.count
    buffers = Array(buffers[passed...] + buffers[..<passed])
    active -= passed
    let begin = pages[next...].firstIndex { $0.end > elements.lowerBound } ?? pages.count
    let end = pages[begin...].firstIndex { $0.start >= elements.upperBound } ?? pages.count
    next = end
    while buffers.count < active + end - begin { buffers.append(PageBuffer()) }
    let free = active..<active + end - begin
    defer { buffers.removeSubrange(free) }
    return Array(zip(pages[begin..<end], buffers[free]))
  }

  /// Takes decoded pages into the window.
  private mutating func hold(_ entering: [(page: PageInfo, buffer: PageBuffer)]) {
    buffers.insert(contentsOf: entering.map(\.buffer), at: active)
    active += entering.count
  }

  /// Returns whether one of `elements` is changed; a page may span them without a change among
  /// them.
  func touches(_ elements: Range<UInt64>) -> Bool {
    window.contains { !$0.changes.indices(of: elements).isEmpty }
  }

  /// Calls `body` with the changes to `elements` of each page that has any.
  func forEachRun(of elements: Range<UInt64>, _ body: (ChangeView<UInt8>) -> Void) {
    for page in window {
      let changes = page.changes.sliced(to: elements)
      if !changes.isEmpty { body(changes) }
    }
  }
}

extension [PageFeed] {
  /// Moves the windows of all feeds, on all cores.
  ///
  /// - Parameter scratches: memory for decoding, one for each core after a while. Up to sixteen feeds
  ///   do not need it: they keep their own, and decode several pages of one feed at once.
  mutating func move(
    to elements: Range<UInt64>, using scratches: Guarded<[PageScratch]>
  ) throws(DiffError) {
    guard count > 16 else {
      return try parallelForEach(&self) { _, feed throws(DiffError) in
        try feed.move(to: elements)
      }
    }
    // In a long chain, each feed has only a page or two in a window, and all are held.
    try parallelForEach(&self) { _, feed throws(DiffError) in
      var scratch = scratches.withLock { $0.popLast() } ?? PageScratch()
      defer { scratches.withLock { $0.append(scratch) } }
      try feed.move(to: elements, using: &scratch)
    }
  }
}
