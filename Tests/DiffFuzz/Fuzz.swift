import DiffFormat
import TensorCore

/// Opens a diff and decodes all of it; whatever the bytes are, it must return.
func readEverything(_ bytes: [UInt8]) {
  do throws(DiffError) {
    let diff = try DiffReader(bytes: bytes)
    for entry in diff {
      guard diff.entry(named: entry.name) == entry else { fatalError("an entry is not found") }
      for stream in entry.operation.streams {
        var pages = diff.pages(of: entry, stream)
        while try pages.next() { check(pages.page) }
      }
    }
  } catch {
    // Refused, as it should be.
  }
}

/// What callers rely on without looking: offsets ascend and stay inside the page.
private func check(_ page: PageBuffer) {
  let offsets = page.offsets
  var next: UInt64 = 0
  for i in offsets.indices {
    guard UInt64(offsets[i]) >= next else { fatalError("offsets do not ascend") }
    next = UInt64(offsets[i]) + 1
  }
  guard page.start + next == page.end, page.values.count == offsets.count * page.valueWidth else {
    fatalError("a page does not fill its span")
  }
}
