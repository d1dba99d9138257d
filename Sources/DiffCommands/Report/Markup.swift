import TensorCore

/// HTML in the making. Text and attributes are escaped; tags are closed by whoever opens them.
package struct Markup {
  package private(set) var html = ""

  package init() {}

  /// Adds an element with content that `body` adds; without one it has none.
  package mutating func element(
    _ name: String, _ attributes: [(String, String)] = [], _ body: (inout Markup) -> Void
  ) {
    html += "<" + name
    for (key, value) in attributes { html += " \(key)=\"\(value.escapingMarkup)\"" }
    html += ">"
    body(&self)
    html += "</\(name)>"
    if Self.blocks.contains(name) { html += "\n" }
  }

  /// Adds an element that holds a text.
  package mutating func element(
    _ name: String, _ attributes: [(String, String)] = [], text: String
  ) {
    element(name, attributes) { $0.text(text) }
  }

  /// Adds an SVG element without content, but for a text that is shown where it is pointed at.
  package mutating func shape(
    _ name: String, _ attributes: [(String, String)], title: String? = nil
  ) {
    element(name, attributes) { shape in
      if let title { shape.element("title", text: title) }
    }
  }

  package mutating func text(_ text: String) { html += text.escapingMarkup }

  private static let blocks: Set = [
    "section", "table", "tr", "p", "h1", "h2", "h3", "svg", "figure", "details", "thead", "tbody",
    "rect",
  ]
}

extension String {
  /// The text, escaped for HTML and XML, without control characters.
  fileprivate var escapingMarkup: String {
    var out = ""
    for scalar in escapingControls.unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "'": out += "&#39;"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

/// A table cell: its text and, for a number, the exact value, which is written as an attribute.
struct Cell {
  let text: String
  let value: String?

  init(_ text: String) {
    self.text = text
    value = nil
  }

  init(_ text: String, _ value: Double) {
    self.text = text
    self.value = "\(value)"
  }

  init(_ count: UInt64) {
    text = count.grouped
    value = "\(count)"
  }
}

extension Markup {
  /// Adds a table; cells with a value are aligned to the right.
  mutating func table(_ header: [String], _ rows: [[Cell]]) {
    element("div", [("class", "wide")]) { box in
      box.element("table") { table in
        table.element("thead") { head in
          head.element("tr") { row in for name in header { row.element("th", text: name) } }
        }
        table.element("tbody") { body in
          for cells in rows {
            body.element("tr") { row in
              for cell in cells {
                row.element(
                  "td", cell.value.map { [("data-value", $0)] } ?? [], text: cell.text)
              }
            }
          }
        }
      }
    }
  }

  /// Adds a table that is collapsed until the reader opens it.
  mutating func folded(_ title: String, _ header: [String], _ rows: [[Cell]]) {
    element("details") { details in
      details.element("summary", text: title)
      details.table(header, rows)
    }
  }
}
