import Kernels
import TensorCore

extension PanelOrder {
  /// The number of bytes of the lists of hot lines.
  var size: Int {
    var bytes: [UInt8] = []
    encode(into: &bytes)
    return bytes.count
  }

  /// Appends the hot rows, then the hot columns: for each a count and, unless it is zero, the size
  /// of a Rice code and the code.
  func encode(into bytes: inout [UInt8]) {
    for list in [hotRows, hotColumns] {
      bytes.append(varint: UInt64(list.count))
      guard !list.isEmpty else { continue }
      var code: [UInt8] = []
      let gaps = Kernels.gaps(list.span)
      SplitRice.encode(gaps.span, SplitRice.plan(gaps.span).parameters, into: &code)
      bytes.append(varint: UInt64(code.count))
      bytes += code
    }
  }

  /// Reads the lists at `at` and advances it to their end.
  init(
    _ lines: (rows: UInt32, columns: UInt32), _ bytes: [UInt8], _ at: inout Int, end: Int,
    scratch: inout MutableSpan<UInt32>
  ) throws(DiffError) {
    guard lines.columns <= Self.columnLimit else {
      throw .inPage("panels of more than \(Self.columnLimit) columns", at: at)
    }
    rows = lines.rows
    columns = lines.columns
    hotRows = try Self.hotLines(bytes, &at, end: end, of: lines.rows, scratch: &scratch)
    let start = at
    hotColumns = try Self.hotLines(bytes, &at, end: end, of: lines.columns, scratch: &scratch)
    guard !hotRows.isEmpty || !hotColumns.isEmpty else {
      throw .inPage("panels without a hot line", at: start)
    }
  }

  private static func hotLines(
    _ bytes: [UInt8], _ at: inout Int, end: Int, of lines: UInt32,
    scratch: inout MutableSpan<UInt32>
  ) throws(DiffError) -> [UInt32] {
    var cursor = Cursor(bytes, origin: 0, at: at, end: end)
    // A page has at most `scratch.count` changes, and a hot line has at least one.
    let count = Int(
      try cursor.varint("hot lines", atMost: UInt64(min(scratch.count, Int(lines)))))
    var list = [UInt32](repeating: 0, count: count)
    if count > 0 {
      let range = try cursor.take(try cursor.varint("size of the hot lines"), "hot lines")
      var values = list.mutableSpan
      try SplitRice.decode(bytes, range, into: &values, scratch: &scratch)
      guard list[count - 1] < lines else {
        throw cursor.malformed("a hot line outside of the page")
      }
    }
    at = cursor.at
    return list
  }
}
