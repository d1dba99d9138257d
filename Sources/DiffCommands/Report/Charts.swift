extension Markup {
  /// Adds a figure: a picture of a size in its own units, shown as wide as there is room.
  mutating func figure(
    _ label: String, width: Int, height: Int, _ draw: (inout Markup) -> Void
  ) {
    element("figure") { figure in
      figure.element("div", [("class", "wide")]) { box in
        box.element(
          "svg",
          [
            ("xmlns", "http://www.w3.org/2000/svg"), ("viewBox", "0 0 \(width) \(height)"),
            ("style", "max-width:\(width)px;min-width:\(min(width, 480))px"), ("role", "img"),
            ("aria-label", label),
          ]
        ) { draw(&$0) }
      }
      figure.element("figcaption", text: label)
    }
  }

  /// Adds a label of a picture.
  mutating func label(_ text: String, x: Int, y: Int, anchor: String = "start") {
    element("text", [("x", "\(x)"), ("y", "\(y)"), ("text-anchor", anchor)], text: text)
  }

  /// Adds a cell as strong as its share of the strongest; what is there but empty is a frame.
  mutating func cell(
    x: Int, y: Int, width: Int, height: Int, share: Double, title: String? = nil
  ) {
    let share = share.isFinite ? max(0, min(1, share)) : 0
    shape(
      "rect",
      [
        ("x", "\(x)"), ("y", "\(y)"), ("width", "\(width)"), ("height", "\(height)"),
        ("class", share > 0 ? "ink" : "none"),
        // The square root, so that a tenth of the strongest is still to be seen.
        ("fill-opacity", (share > 0 ? 0.06 + 0.94 * share.squareRoot() : 1).fixed(3)),
      ], title: title)
  }

  /// Adds bars, each with a label before it and a text behind it.
  mutating func bars(
    _ caption: String,
    _ bars: [(label: String, parts: [(share: Double, kind: String)], text: String)]
  ) {
    let (left, room, step) = (90, 480, 22)
    figure(caption, width: left + room + 190, height: bars.count * step + 4) { svg in
      for (index, bar) in bars.enumerated() {
        let y = index * step
        svg.label(bar.label, x: left - 8, y: y + 15, anchor: "end")
        var x = Double(left)
        for part in bar.parts {
          let width = max(1, part.share * Double(room))
          svg.shape(
            "rect",
            [
              ("x", x.fixed(1)), ("y", "\(y + 3)"), ("width", width.fixed(1)),
              ("height", "\(step - 6)"), ("class", part.kind), ("rx", "2"),
            ])
          x += width
        }
        svg.label(bar.text, x: Int(x) + 8, y: y + 15)
      }
    }
  }

  /// Adds a matrix of shares, with the numbers of its rows and columns, and its values where there
  /// is room for them.
  mutating func matrix(
    _ caption: String, count: Int, _ value: (Int, Int) -> (share: Double, text: String)
  ) {
    let size = count <= 12 ? 44 : max(6, 600 / count)
    let left = 28
    figure(caption, width: left + count * size + 2, height: left + count * size + 2) { svg in
      for row in 0..<count {
        if size >= 14 || row % 10 == 9 {
          let middle = left + row * size + size / 2
          svg.label("\(row + 1)", x: left - 6, y: middle + 4, anchor: "end")
          svg.label("\(row + 1)", x: middle, y: left - 8, anchor: "middle")
        }
        for column in 0..<count {
          let (share, text) = value(row, column)
          let (x, y) = (left + column * size, left + row * size)
          svg.cell(
            x: x, y: y, width: size - 1, height: size - 1, share: share,
            title: "\(row + 1), \(column + 1): \(text)")
          if count <= 12 {
            svg.element(
              "text",
              [
                ("x", "\(x + size / 2)"), ("y", "\(y + size / 2 + 4)"),
                ("text-anchor", "middle"), ("class", share > 0.3 ? "over" : "value"),
              ], text: text)
          }
        }
      }
    }
  }
}
