extension Markup {
  /// Adds a figure: a picture of `width` × `height` units, shown as wide as the page allows.
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

  /// Adds a cell, shaded by its share of the maximum. A share of 0 has a color of its own.
  mutating func cell(
    x: Int, y: Int, width: Int, height: Int, share: Double, title: String? = nil
  ) {
    let share = share.isFinite ? max(0, min(1, share)) : 0
    shape(
      "rect",
      [
        ("x", "\(x)"), ("y", "\(y)"), ("width", "\(width)"), ("height", "\(height)"),
        ("class", share > 0 ? "shade" : "none"), ("style", Self.shade(share)),
      ], title: title)
  }

  /// Returns the shade of a share: its square root, so that a tenth of the maximum is visible.
  static func shade(_ share: Double) -> String { "--s:\(share.squareRoot().fixed(3))" }

  /// Adds the color scale of a picture, from 0 to the maximum.
  mutating func scale(_ maximum: String) {
    let (size, count) = (18, 9)
    element("div", [("class", "scale")]) { box in
      box.element("span", text: "0")
      box.element(
        "svg",
        [
          ("xmlns", "http://www.w3.org/2000/svg"), ("viewBox", "0 0 \(size * count) 12"),
          ("aria-hidden", "true"),
        ]
      ) { svg in
        for step in 0..<count {
          svg.cell(
            x: step * size, y: 0, width: size, height: 12,
            share: Double(step) / Double(count - 1))
        }
      }
      box.element("span", text: maximum)
    }
  }

  /// Adds bars, each with a label before it and a text after it.
  mutating func bars(
    _ caption: String,
    _ bars: [(label: String, parts: [(share: Double, kind: String)], text: String)]
  ) {
    let (left, longest, step) = (90, 480, 22)
    figure(caption, width: left + longest + 190, height: bars.count * step + 4) { svg in
      for (index, bar) in bars.enumerated() {
        let y = index * step
        svg.label(bar.label, x: left - 8, y: y + 15, anchor: "end")
        var x = Double(left)
        for part in bar.parts {
          let width = max(1, part.share * Double(longest))
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

  /// Adds a matrix of shares, with the names of its rows, the numbers of its columns and, if they
  /// fit, its values.
  mutating func matrix(
    _ caption: String, names: [String], _ value: (Int, Int) -> (share: Double, text: String)
  ) {
    let count = names.count
    let size = count <= 12 ? 44 : max(6, 600 / count)
    let labels = names.enumerated().map { "\($0 + 1) \($1.shortened(to: 22))" }
    let isNamed = size >= 14
    let left = isNamed ? 12 + 7 * (labels.map(\.columns).max() ?? 0) : 28
    let top = 24
    figure(caption, width: left + count * size + 2, height: top + count * size + 2) { svg in
      for row in 0..<count {
        if isNamed || row % 10 == 9 {
          let middle = row * size + size / 2
          svg.label(
            isNamed ? labels[row] : "\(row + 1)", x: left - 6, y: top + middle + 4, anchor: "end")
          svg.label("\(row + 1)", x: left + middle, y: top - 8, anchor: "middle")
        }
        for column in 0..<count {
          let (share, text) = value(row, column)
          let (x, y) = (left + column * size, top + row * size)
          svg.cell(
            x: x, y: y, width: size - 1, height: size - 1, share: share,
            title: "\(names[row]), \(names[column]): \(text)")
          if count <= 12 {
            svg.label(text, x: x + size / 2, y: y + size / 2 + 4, anchor: "middle")
          }
        }
      }
    }
  }

  /// A line of a chart, or points.
  struct Series {
    let points: [(x: Double, y: Double)]
    var isFaint = false
    var arePoints = false
  }

  /// Adds a chart of lines over one axis.
  ///
  /// - Parameter marks: The x values of vertical lines.
  mutating func lines(_ caption: String, _ series: [Series], marks: [Double] = []) {
    let all = series.flatMap(\.points)
    guard let left = all.map(\.x).min(), let right = all.map(\.x).max(),
      let low = all.map(\.y).min(), let high = all.map(\.y).max()
    else { return }
    let (width, height, margin, base) = (460.0, 200.0, 64.0, 172.0)
    func x(_ value: Double) -> String {
      (margin + (value - left) / max(right - left, 1e-9) * (width - margin - 12)).fixed(1)
    }
    func y(_ value: Double) -> String {
      (base - (value - low) / max(high - low, 1e-12) * (base - 14)).fixed(1)
    }
    figure(caption, width: Int(width), height: Int(height)) { svg in
      for value in high > low ? [low, (low + high) / 2, high] : [low] {
        svg.shape(
          "line",
          [
            ("x1", margin.fixed(0)), ("x2", (width - 12).fixed(0)), ("y1", y(value)),
            ("y2", y(value)), ("class", "grid"),
          ])
        svg.label(value.brief, x: Int(margin) - 8, y: Int(Double(y(value)) ?? 0) + 4, anchor: "end")
      }
      for mark in marks {
        svg.shape(
          "line",
          [("x1", x(mark)), ("x2", x(mark)), ("y1", "10"), ("y2", "\(base)"), ("class", "grid")])
      }
      for one in series where one.arePoints {
        for point in one.points {
          svg.shape(
            "circle", [("cx", x(point.x)), ("cy", y(point.y)), ("r", "4"), ("class", "second")],
            title: "step \(Int(point.x)): \(point.y.fixed(4))")
        }
      }
      for one in series where !one.arePoints {
        let points = one.points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
        svg.shape(
          "polyline", [("points", points), ("class", one.isFaint ? "line faint" : "line")])
      }
      svg.label("step \(Int(left))", x: Int(margin), y: Int(height) - 8)
      svg.label("\(Int(right))", x: Int(width) - 12, y: Int(height) - 8, anchor: "end")
    }
  }
}
