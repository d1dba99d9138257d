import Platform

extension Markup {
  /// Adds a figure: its title, the names of the colors in it, and what `draw` adds below them.
  ///
  /// Texts are HTML beside pictures that stretch, so that they stay legible on narrow screens.
  mutating func figure(
    _ title: String, keys: [(color: Int, text: String)] = [], _ draw: (inout Markup) -> Void
  ) {
    element("figure") { figure in
      figure.element("figcaption") { caption in
        caption.element("b", text: title)
        for key in keys {
          caption.element("span", [("class", "key \(Self.color(key.color))")], text: key.text)
        }
      }
      draw(&figure)
    }
  }

  /// Returns the class of a color: six in turn.
  private static func color(_ number: Int) -> String { "c\(number % 6)" }

  /// Kinds of rows: with short names and values, with names that are above the pictures on narrow
  /// screens, and with wide values.
  enum Rows: String { case short, long, bars }

  /// Adds the rows of a chart.
  mutating func rows(_ kind: Rows, _ rows: (inout Markup) -> Void) {
    element("div", [("class", "rows \(kind.rawValue)")], rows)
  }

  /// Adds a row of a chart: its name, a picture and a value.
  mutating func row(_ name: String, _ value: String, _ picture: (inout Markup) -> Void) {
    element("div", [("class", "row")]) { row in
      row.element("span", [("class", "name")]) { $0.breakable(name) }
      row.element("div", [("class", "picture")], picture)
      row.element("span", [("class", "value")], text: value)
    }
  }

  /// Adds bars, each with a name before it and a text after it.
  mutating func bars(
    _ title: String,
    _ bars: [(name: String, parts: [(share: Double, kind: String)], text: String)]
  ) {
    figure(title) { figure in
      figure.rows(.bars) { rows in
        for bar in bars {
          rows.row(bar.name, bar.text) { row in
            row.element("div", [("class", "bar")]) { box in
              for part in bar.parts where part.share > 0 {
                let width = "width:\((part.share * 100).fixed(2))%"
                box.element("i", [("class", part.kind), ("style", width)], text: "")
              }
            }
          }
        }
      }
    }
  }

  /// Adds a cell, shaded by its share of the maximum: by the square root, so that a tenth is
  /// visible. A share of 0 has a color of its own.
  mutating func cell(_ share: Double, title: String = "", text: String = "") {
    let share = share.isFinite ? max(0, min(1, share)) : 0
    let shade = share > 0 ? [("style", "--s:\(share.squareRoot().fixed(3))")] : []
    element("i", (title.isEmpty ? [] : [("title", title)]) + shade, text: text)
  }

  /// Adds cells side by side; nil leaves a gap.
  mutating func cells(_ cells: [(share: Double, title: String)?]) {
    element("div", [("class", "cells")]) { box in
      for cell in cells {
        if let cell {
          box.cell(cell.share, title: cell.title)
        } else {
          box.element("i", [("class", "gap")], text: "")
        }
      }
    }
  }

  /// Adds the names of columns, as many as fit beside each other on a narrow screen.
  mutating func columnNames(_ names: [String]) {
    let columns = (names.map(\.columns).max() ?? 0) + 1
    let step = max(1, (names.count * columns * 7 + 179) / 180)
    for first in stride(from: 0, to: names.count, by: step) {
      let count = min(step, names.count - first)
      element(
        "span", [("class", "top"), ("style", "grid-column:span \(count)")],
        text: first > 0 && count < step ? "" : names[first])
    }
  }

  /// Adds the color scale of cells, from 0 to the maximum.
  ///
  /// - Parameter isPale: Whether the colors are those of a matrix, on which texts stay legible.
  mutating func scale(_ maximum: String, isPale: Bool = false) {
    element("div", [("class", isPale ? "scale pale" : "scale")]) { box in
      box.element("span", text: "0")
      box.cells((0...8).map { (Double($0) / 8, "") })
      box.element("span", text: maximum)
    }
  }

  /// Adds a picture of shares, row by row, as SVG that stretches to its box.
  mutating func raster(_ label: String, columns: Int, style: String = "", _ shares: [Double]) {
    let levels = 64
    var paths = [String](repeating: "", count: levels + 1)
    var index = 0
    while index < shares.count {
      let level = Self.level(shares[index], of: levels)
      let (row, column) = (index / columns, index % columns)
      var width = 1
      while column + width < columns, index + width < shares.count,
        Self.level(shares[index + width], of: levels) == level
      {
        width += 1
      }
      if level > 0 { paths[level] += "M\(column) \(row)h\(width)v1h-\(width)z" }
      index += width
    }
    element(
      "svg",
      [
        ("xmlns", "http://www.w3.org/2000/svg"), ("preserveAspectRatio", "none"),
        ("viewBox", "0 0 \(columns) \(max(1, shares.count / max(1, columns)))"), ("role", "img"),
        ("aria-label", label), ("class", "raster"), ("style", style),
      ]
    ) { svg in
      for (level, path) in paths.enumerated() where !path.isEmpty {
        let root = Double(level) / Double(levels)
        svg.shape("path", [("style", "--s:\(root.fixed(3))"), ("d", path)])
      }
    }
  }

  /// Returns the level of a share, whose square root is rounded up.
  private static func level(_ share: Double, of levels: Int) -> Int {
    guard share > 0 else { return 0 }
    return Int((min(1, share).squareRoot() * Double(levels)).rounded(.up))
  }

  /// Adds a matrix of shares, with the names of its rows and columns and, if they fit, its values.
  /// Above twelve columns, they have the numbers of the rows with the same names.
  mutating func matrix(
    _ title: String, names: [String], _ value: (Int, Int) -> (share: Double, text: String)
  ) {
    let count = names.count
    let kind = count <= 5 ? "matrix" : count <= 12 ? "matrix many" : "matrix dense"
    figure(title) { figure in
      figure.element("div", [("class", kind), ("style", "--n:\(count)")]) { box in
        box.element("span", text: "")
        if count > 12 {
          box.columnNames((1...count).map { "\($0)" })
        } else {
          for name in names {
            box.element("span", [("class", "column")], text: name.shortened(to: 16))
          }
        }
        for row in 0..<count {
          box.element("span", [("class", "name")], text: names[row].shortened(to: 24))
          for column in 0..<count {
            let (share, text) = value(row, column)
            box.cell(
              share, title: "\(names[row]), \(names[column]): \(text)",
              text: count <= 12 ? text : "")
          }
        }
      }
    }
  }

  /// A line of a chart.
  struct Curve {
    let name: String
    /// The number of its color; from the seventh on it is dashed.
    let color: Int
    let points: [(x: Double, y: Double)]
    /// Points that are drawn faintly, of which `points` are a mean.
    var raw: [(x: Double, y: Double)] = []
    var hasDots = false
  }

  /// Adds a chart of curves over steps, whose names and last values are above it.
  ///
  /// - Parameter marks: The steps with vertical lines.
  mutating func plot(
    _ title: String, _ curves: [Curve], steps: ClosedRange<Double>, marks: [Double]
  ) {
    let values = curves.flatMap { $0.points + $0.raw }.map(\.y)
    guard let low = values.min(), let high = values.max() else { return }
    let axis = Axis(low, high)
    let (width, height) = (1000.0, 100.0)
    func x(_ value: Double) -> String {
      ((value - steps.lowerBound) / max(steps.upperBound - steps.lowerBound, 1) * width).fixed(1)
    }
    func y(_ value: Double) -> String { (height * (1 - axis.share(value))).fixed(2) }
    func line(_ points: [(x: Double, y: Double)]) -> String {
      points.map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
    }
    let keys = curves.map { curve in
      (color: curve.color, text: "\(curve.name) \(curve.points.last?.y.brief ?? "")")
    }
    figure(title, keys: keys) { figure in
      figure.element("div", [("class", "plot")]) { plot in
        plot.element("div", [("class", "ticks")]) { box in
          for tick in axis.ticks.reversed() { box.element("span", text: axis.text(tick)) }
        }
        plot.element(
          "svg",
          [
            ("xmlns", "http://www.w3.org/2000/svg"), ("preserveAspectRatio", "none"),
            ("viewBox", "0 0 \(width.fixed(0)) \(height.fixed(0))"), ("role", "img"),
            ("aria-label", title),
          ]
        ) { svg in
          for tick in axis.ticks {
            svg.shape("path", [("class", "grid"), ("d", "M0 \(y(tick))H\(width.fixed(0))")])
          }
          for mark in marks {
            svg.shape("path", [("class", "mark"), ("d", "M\(x(mark)) 0V\(height.fixed(0))")])
          }
          for curve in curves {
            let dashes = curve.color < 6 ? "" : " dashed"
            let color = Self.color(curve.color)
            if !curve.raw.isEmpty {
              svg.shape(
                "polyline", [("class", "\(color) faint"), ("points", line(curve.raw))])
            }
            svg.shape(
              "polyline", [("class", color + dashes), ("points", line(curve.points))])
            for point in curve.points where curve.hasDots {
              svg.shape(
                "path", [("class", "\(color) dot"), ("d", "M\(x(point.x)) \(y(point.y))h0")],
                title: "\(curve.name), step \(Int(point.x)): \(point.y.fixed(4))")
            }
          }
        }
        plot.element("div", [("class", "steps")]) { box in
          box.element("span", text: "step \(Int(steps.lowerBound))")
          box.element("span", text: "\(Int(steps.upperBound))")
        }
      }
    }
  }
}

/// A vertical axis with a few round ticks, the first and last of which enclose all values.
struct Axis {
  let ticks: [Double]
  private let digits: Int

  init(_ low: Double, _ high: Double) {
    let rough = max((high - low) / 3, 1e-300)
    let power = Platform.pow(10, Platform.log10(rough).rounded(.down))
    let step = ([1, 2, 5].first { $0 * power >= rough * 0.999 } ?? 10) * power
    let first = (low / step).rounded(.down)
    let count = max(1, min(8, (high / step).rounded(.up) - first))
    ticks = (0...Int(count)).map { (first + Double($0)) * step }
    digits = Int(max(0, min(9, -Platform.log10(step * 1.001).rounded(.down))))
  }

  /// Returns the height of a value, from 0 to 1.
  func share(_ value: Double) -> Double {
    let (low, high) = (ticks[0], ticks[ticks.count - 1])
    return high > low ? max(0, min(1, (value - low) / (high - low))) : 0.5
  }

  /// Returns the text of a tick.
  func text(_ tick: Double) -> String {
    tick.magnitude >= 1e5 || digits > 5 ? tick.brief : tick.fixed(digits)
  }
}
