import DiffFormat
import DiffOperations
import TensorCore
import TestSupport

/// Opens a diff, decodes all of it and applies it; must return for any bytes.
func readEverything(_ bytes: [UInt8]) {
  do throws(DiffError) {
    let diff = try DiffReader(bytes: bytes)
    var page = PageBuffer()
    for entry in diff {
      guard diff.entry(named: entry.name) == entry else { fatalError("an entry is not found") }
      for stream in entry.operation.streams {
        for info in entry.pages[stream] ?? [] {
          try page.load(info, of: entry, stream, from: diff.source)
          check(page.changes, info, width: entry.valueWidth)
        }
      }
    }
    try applyEverything(diff)
  } catch {
    // Refused, as it should be.
  }
}

/// Applies a diff to tensors of the shapes that it names, as far as they are small.
private func applyEverything(_ diff: DiffReader) throws(DiffError) {
  var tensors: [MemoryTensor] = []
  var room: UInt64 = 1 << 20
  for entry in diff where entry.operation != .insert {
    let size = entry.shape.count * UInt64(entry.type.width)
    guard size <= room else { return }
    room -= size
    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    tensors.append(MemoryTensor(entry.name, entry.type, entry.shape, bytes))
  }
  for entry in diff where entry.operation == .insert && entry.shape.count > 1 << 20 { return }
  _ = try Diffs.apply([diff], to: MemoryCheckpoint(tensors), output: "output")
}

/// Checks the guarantees that callers rely on: offsets ascend and are inside the page.
private func check(_ changes: ChangeView<UInt8>, _ page: PageInfo, width: Int) {
  let offsets = changes.offsets
  var next: UInt64 = 0
  for i in offsets.indices {
    guard UInt64(offsets[i]) >= next else { fatalError("offsets do not ascend") }
    next = UInt64(offsets[i]) + 1
  }
  guard changes.start + next == page.end, changes.values.count == offsets.count * width else {
    fatalError("a page does not fill its span")
  }
}
