import DiffFormat
import TensorCore
import Testing
import TestSupport

/// A diff of more than 4 GiB that is not stored: its last page, its header and its end are real,
/// everything between them reads as zeros.
private final class LargeSource: ByteSource {
  private let head, tail: [UInt8]
  private let hole: UInt64

  init(head: [UInt8], hole: UInt64, tail: [UInt8]) {
    self.head = head
    self.hole = hole
    self.tail = tail
  }

  var size: UInt64 { UInt64(head.count) + hole + UInt64(tail.count) }

  func read(at offset: UInt64, into buffer: inout MutableSpan<UInt8>) throws(DiffError) {
    let tailStart = UInt64(head.count) + hole
    for i in 0..<buffer.count {
      let place = offset + UInt64(i)
      if place < UInt64(head.count) {
        buffer[i] = head[Int(place)]
      } else if place >= tailStart {
        buffer[i] = tail[Int(place - tailStart)]
      } else {
        buffer[i] = 0
      }
    }
  }
}

@Suite struct LargeFileTests {
  @Test("a page beyond 4 GiB is found and read, and refused if damaged")
  func beyondFourGibibytes() throws {
    // One change every 2^32 elements: each is a page of its own.
    let count = 4200
    let positions = (0..<UInt64(count)).map { $0 << 32 }
    let values = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
    let shape = try #require(Shape([1 << 46]))
    let small = try Contents([
      .init(DiffEntry("a", .replace, .u8, shape), Changes(positions, values))
    ]).encoded()
    var image = DiffImage(small)
    let lastPage = try #require(image.pages.last)
    let pageSize: UInt64 = 1 << 20
    for page in 0..<count - 1 { image["0.changes.\(page).size"] = varint(pageSize) }
    let index = image.fields.flatMap(\.bytes)
    let hole = pageSize * UInt64(count - 1)
    image.fileSize = 32 + hole + UInt64(lastPage.count + index.count) + 48
    let file = image.bytes
    let source = LargeSource(
      head: Array(file[..<32]), hole: hole, tail: lastPage + index + file.suffix(48))
    #expect(source.size > 1 << 32)

    let reader = try DiffReader(source)
    let entry = reader[0]
    var pages = reader.pages(of: entry)
    pages.seek(to: positions[count - 1])
    var last = Changes()
    while let changes = try pages.next() { last.append(changes) }
    #expect(last == Changes([positions[count - 1]], [values[count - 1]]))

    pages.seek(to: positions[count - 2])
    let error = #expect(throws: DiffError.self) { _ = try pages.next() }
    #expect(error?.code == .checksum)
    #expect(error?.offset == 32 + pageSize * UInt64(count - 2))
  }
}
