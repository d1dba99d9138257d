import DiffFormat
import TensorCore

/// Returns the codings of the planes of a valid file.
package func planeCodings(_ file: [UInt8]) throws(DiffError) -> Set<PlaneCoding> {
  let reader = try DiffReader(bytes: file)
  var codings: Set<PlaneCoding> = []
  for entry in reader {
    for page in entry.pages.values.joined() {
      let start = Int(page.offset)
      codings.formUnion(
        planeCodings(
          Array(file[start..<start + Int(page.storedSize)]), count: page.count,
          width: entry.valueWidth))
    }
  }
  return codings
}

/// Returns the codings of the planes of one page, which are after its positions.
private func planeCodings(_ page: [UInt8], count: Int, width: Int) -> [PlaneCoding] {
  var at = 1
  func number() -> Int {
    let length = (page[at...].firstIndex { $0 < 0x80 } ?? at) + 1 - at
    defer { at += length }
    return page[at..<at + length].reversed().reduce(0) { $0 << 7 | Int($1 & 0x7F) }
  }
  let positions = number()
  at += positions
  return (0..<width).compactMap { _ in
    let coding = PlaneCoding(rawValue: page[at])
    at += 1
    switch coding {
    case .raw: at += count
    case .constant: at += 1
    case .deflate:
      let size = number()
      at += size
    case nil: break
    }
    return coding
  }
}
