import Algorithms
import TensorCore

/// Reads the pages of one stream of an entry in order, into one buffer.
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

  /// Returns the changes of the next page, valid until the following one is read; nil after the
  /// last page.
  ///
  /// - Throws: the errors of `PageBuffer.load`.
  @_lifetime(&self)
  public mutating func next() throws(DiffError) -> ChangeView<UInt8>? {
    guard nextPage < pages.count else { return nil }
    try page.load(pages[nextPage], of: entry, stream, from: source)
    nextPage += 1
    return page.changes
  }

  /// Moves to the page that contains `position`, or the first one after it. O(log pages).
  public mutating func seek(to position: UInt64) {
    nextPage = pages.partitioningIndex { $0.end > position }
  }
}

extension DiffReader {
  /// Returns a reader of the pages of an entry of this diff, starting at the first one.
  public func pages(of entry: DiffEntry, _ stream: DiffStream = .changes) -> PageReader {
    PageReader(source, entry, stream)
  }
}
