import Algorithms
import TensorCore

/// The pages of one stream of an entry, one after the other, in one buffer.
public struct PageReader {
  private var page = PageBuffer()
  private let source: any ByteSource
  private let entry: DiffEntry
  private let stream: DiffStream
  private let pages: [PageInfo]
  private var nextPage = 0

  init(_ source: any ByteSource, _ entry: DiffEntry, _ stream: DiffStream) {
    self.source = source
    self.entry = entry
    self.stream = stream
    pages = entry.pages[stream] ?? []
  }

  /// The changes of the next page, good until the one after it is read; nil after the last one.
  ///
  /// - Throws: what `PageBuffer.load` throws.
  @_lifetime(&self)
  public mutating func next() throws(DiffError) -> ChangeView<UInt8>? {
    guard nextPage < pages.count else { return nil }
    try page.load(pages[nextPage], of: entry, stream, from: source)
    nextPage += 1
    return page.changes
  }

  /// Goes on with the page that holds `position`, or the first one after it. O(log pages).
  public mutating func seek(to position: UInt64) {
    nextPage = pages.partitioningIndex { $0.end > position }
  }
}

extension DiffReader {
  /// Reads the pages of an entry of this diff, from the first one on.
  public func pages(of entry: DiffEntry, _ stream: DiffStream = .changes) -> PageReader {
    PageReader(source, entry, stream)
  }
}
