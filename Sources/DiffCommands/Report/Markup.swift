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

  /// Adds a text with the name of a tensor, whose lines preferably break after dots and slashes.
  mutating func breakable(_ text: String) {
    for character in text.escapingMarkup {
      html.append(character)
      if character == "." || character == "/" { html += "<wbr/>" }
    }
  }

  private static let blocks: Set = [
    "section", "table", "tr", "p", "h1", "h2", "h3", "svg", "figure", "details", "thead", "tbody",
    "div", "dl", "rect",
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
  /// Adds a table; columns with values are aligned to the right. On narrow screens a row is a card
  /// with the names of the columns before the cells.
  mutating func table(_ header: [String], _ rows: [[Cell]]) {
    let isNumeric = header.indices.map { column in rows.contains { $0[column].value != nil } }
    let kinds = isNumeric.map { $0 ? [("class", "number")] : [] }
    element("table") { table in
      table.element("thead") { head in
        head.element("tr") { row in
          for (name, kind) in zip(header, kinds) { row.element("th", kind, text: name) }
        }
      }
      table.element("tbody") { body in
        for cells in rows {
          body.element("tr") { row in
            for ((cell, name), kind) in zip(zip(cells, header), kinds) {
              row.element(
                "td",
                kind + [("data-name", name)] + (cell.value.map { [("data-value", $0)] } ?? []),
                text: cell.text)
            }
          }
        }
      }
    }
  }

  /// Adds contents that are collapsed until the reader opens them.
  mutating func folded(_ title: String, _ contents: (inout Markup) -> Void) {
    element("details") { details in
      details.element("summary", text: title)
      contents(&details)
    }
  }

  /// Adds a table that is collapsed.
  mutating func folded(_ title: String, _ header: [String], _ rows: [[Cell]]) {
    folded(title) { $0.table(header, rows) }
  }

  /// Adds a remark.
  mutating func note(_ text: String) { element("p", [("class", "muted")], text: text) }
}
