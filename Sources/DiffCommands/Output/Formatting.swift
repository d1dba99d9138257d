import Platform
import RemoteFiles
import SystemSupport
import TensorCore

extension UInt64 {
  /// `831 B`, `22.7 kB`, `90.9 MB`: decimal units, three digits.
  var bytes: String {
    var value = Double(self)
    guard value >= 1000 else { return "\(self) B" }
    for unit in ["kB", "MB", "GB"] {
      value /= 1000
      let digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
      if value < 999.5 { return "\(value.fixed(digits)) \(unit)" }
    }
    return "\((value / 1000).fixed(2)) TB"
  }

  /// `22 713 216`.
  var grouped: String {
    let digits = Array(String(self).utf8)
    var out: [UInt8] = []
    for (index, digit) in digits.enumerated() {
      if index > 0 && (digits.count - index) % 3 == 0 { out.append(UInt8(ascii: " ")) }
      out.append(digit)
    }
    return String(decoding: out, as: UTF8.self)
  }
}

extension BinaryInteger {
  /// `1 task`, `2 tasks`, `39 127 tasks`.
  func counted(_ noun: String) -> String {
    "\(UInt64(clamping: self).grouped) \(noun)\(self == 1 ? "" : "s")"
  }
}

extension Int {
  /// `⁻¹²`.
  var superscript: String {
    String(
      "\(self)".map { digit -> Character in
        digit.wholeNumberValue.map { Array("⁰¹²³⁴⁵⁶⁷⁸⁹")[$0] } ?? "⁻"
      })
  }
}

extension Double {
  /// Returns fixed notation with `digits` digits after the point.
  package func fixed(_ digits: Int) -> String {
    let scale = (0..<digits).reduce(1) { scale, _ in scale * 10 }
    guard isFinite, magnitude < 1e15, magnitude * Double(scale) < 1e18 else {
      return isNaN ? "nan" : "\(self)"
    }
    let scaled = Int64((magnitude * Double(scale)).rounded())
    let fraction = String(scaled % Int64(scale))
    let padding = String(repeating: "0", count: Swift.max(0, digits - fraction.count))
    let sign = self < 0 && scaled != 0 ? "-" : ""
    return "\(sign)\(scaled / Int64(scale))" + (digits > 0 ? ".\(padding)\(fraction)" : "")
  }

  /// Three significant digits: `0.0123`, `1.23e-09`.
  var brief: String {
    guard isFinite, self != 0 else { return isFinite ? "0" : isNaN ? "nan" : "\(self)" }
    // Qualified, since swift-algorithms brings static members of these names to `Double`.
    let exponent = Int(Platform.log10(magnitude).rounded(.down))
    if (-4..<6).contains(exponent) { return fixed(Swift.max(0, 2 - exponent)) }
    return (self / Platform.pow(10, Double(exponent))).fixed(2) + "e\(exponent)"
  }

  /// `0.50 %`; four digits after the point below 0.05 %.
  var percent: String {
    if self != 0 && magnitude < 5e-7 { return "< 0.0001 %" }
    return self == 0 ? "0 %" : (self * 100).fixed(magnitude < 0.0005 ? 4 : 2) + " %"
  }
}

/// Rows of text in aligned columns, numbers to the right. In a table that is too wide, the middles
/// of long names are left out (in the first column, unless other columns are `shrinking`).
struct TextTable {
  private var rows: [[String]]
  private let rightAligned, shrinking: Set<Int>

  /// The minimum width that a column shrinks to.
  private static let leastWidth = 12

  init(_ header: [String], rightAligned: Set<Int> = [], shrinking: Set<Int> = [0]) {
    rows = [header]
    self.rightAligned = rightAligned
    self.shrinking = shrinking
  }

  mutating func add(_ row: [String]) {
    rows.append(row.map { $0.abbreviated(to: 1000).escapingControls })
  }

  var text: String { text(width: Terminal.width) }

  func text(width: Int?) -> String {
    let widths = self.widths(within: width ?? .max)
    return rows.enumerated().map { number, row in
      var line = ""
      for (i, cell) in row.enumerated() {
        let columns = cell.columns
        let isLong = columns > widths[i]
        let cell = isLong ? cell.shortened(to: widths[i]) : cell
        let padding = String(
          repeating: " ", count: widths[i] - (isLong ? cell.columns : columns))
        line += rightAligned.contains(i) ? padding + cell : cell + padding
        line += "  "
      }
      let end = line.utf8.lastIndex { $0 != UInt8(ascii: " ") }
      line = end.map { String(line[...$0]) } ?? ""
      return (number == 0 ? line.styled(.bold) : line) + "\n"
    }.joined()
  }

  private func widths(within width: Int) -> [Int] {
    var widths = [Int](repeating: 0, count: rows[0].count)
    for row in rows {
      for (i, cell) in row.enumerated() { widths[i] = max(widths[i], cell.columns) }
    }
    var total = widths.reduce(0) { $0 + $1 + 2 } - 2
    while total > width {
      guard let widest = shrinking.max(by: { widths[$0] < widths[$1] }),
        widths[widest] > Self.leastWidth
      else { break }
      widths[widest] -= 1
      total -= 1
    }
    return widths
  }
}

/// Returns lines of `name  value` with aligned values.
func fieldLines(_ pairs: [(String, String)]) -> String {
  let width = pairs.map(\.0.columns).max() ?? 0
  return pairs.map { name, value in
    let padding = String(repeating: " ", count: width - name.columns + 2)
    return name + padding + value.escapingControls + "\n"
  }.joined()
}

/// Returns the default name of an output: `base.h5` and `task.diff` make `base.task.h5`, in the
/// folder of the base.
func derivedName(_ base: String, _ words: [String]) -> String {
  let (folder, name) = OutputFile.split(base)
  let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
  let stem = ([String(name[..<dot])] + words).joined(separator: ".") + name[dot...]
  return folder == "." ? stem : "\(folder)/\(stem)"
}

/// Returns the last component of a path or an address without its last suffix.
func stem(_ path: String) -> String {
  let name = OutputFile.split(RemoteAddress(path)?.description ?? path).name
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return name }
  return String(name[..<dot])
}
