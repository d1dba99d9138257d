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
  /// True if so many feeds move together that their memory is to be small rather than reused.
  private let isOneOfMany: Bool

  /// - Parameter count: the number of feeds that move together.
  init(
    _ reader: DiffReader, _ entry: DiffEntry, _ stream: DiffStream = .changes, among count: Int = 1
  ) {
    isOneOfMany = count > 16
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
    let passed = buffers[..<active].prefix { $0.changes.end <= elements.lowerBound }.count
    buffers = Array(buffers[passed...] + buffers[..<passed])
    active -= passed
    let begin = pages[next...].firstIndex { $0.end > elements.lowerBound } ?? pages.count
    let end = pages[begin...].firstIndex { $0.start >= elements.upperBound } ?? pages.count
    while buffers.count < active + end - begin { buffers.append(PageBuffer()) }
    let (source, entry, stream, pages) = (source, entry, stream, pages)
    var fresh = Array(buffers[active..<active + end - begin])
    buffers.removeSubrange(active..<active + end - begin)
    try parallelForEach(&fresh) { [isOneOfMany] index, buffer throws(DiffError) in
      try buffer.load(pages[begin + index], of: entry, stream, from: source)
      if isOneOfMany { buffer.trim() }
    }
    buffers.insert(contentsOf: fresh, at: active)
    active += end - begin
    next = end
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
