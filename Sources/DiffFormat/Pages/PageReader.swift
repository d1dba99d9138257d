import Algorithms
import TensorCore

/// The pages of one stream of an entry, one after the other, in one buffer.
public struct PageReader {
  /// The page read last.
  public private(set) var page = PageBuffer()

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

  /// Reads the next page into `page`; false after the last one.
  public mutating func next() throws(DiffError) -> Bool {
    guard nextPage < pages.count else { return false }
    try page.load(pages[nextPage], of: entry, stream, from: source)
    nextPage += 1
    return true
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
