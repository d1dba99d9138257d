import DiffCommands
import Platform

/// A picture of a table of methods: score against density, beside full finetuning.
///
/// A point is the mean difference from full finetuning over runs of equal task and seed, as in the
/// table; its bar is the 95 % interval over tasks. The band around zero is the deviation of full
/// finetuning's mean over its seeds.
struct MethodFigure {
  /// Methods that share a color and are joined by a line, in the order of their densities.
  struct Series {
    let name: String
    /// A member of `colors`.
    let color: Int
    let points: [(density: Double, difference: Double, interval: Double)]
  }

  let series: [Series]
  /// The deviation of full finetuning's mean score over seeds, in points.
  let band: Double

  /// The picture as an SVG file of its own, readable on light and dark pages.
  var svg: String {
    var markup = Markup()
    markup.element(
      "svg",
      [
        ("xmlns", "http://www.w3.org/2000/svg"), ("viewBox", "0 0 \(Int(width)) \(Int(height))"),
        ("role", "img"), ("aria-label", "Score against density, beside full finetuning"),
      ]
    ) { svg in
      svg.element("style", text: Self.style)
      svg.shape(
        "rect",
        [
          ("x", number(left)), ("y", number(y(band))), ("width", number(right - left)),
          ("height", number(y(-band) - y(band))), ("class", "band"),
        ])
      axes(&svg)
      for one in series { draw(one, &svg) }
      legend(&svg)
    }
    return markup.html
  }

  private let width = 720.0
  private let height = 360.0
  private let left = 64.0
  private let right = 520.0
  private let top = 28.0
  private let bottom = 312.0
  /// The range of densities, of a logarithmic axis.
  private let densities = 0.0008...0.0125

  /// The lowest and highest difference that is drawn, in whole points.
  private var range: ClosedRange<Double> {
    let low = series.flatMap(\.points).map { $0.difference - $0.interval }.min() ?? -1
    let high = series.flatMap(\.points).map { $0.difference + $0.interval }.max() ?? 1
    return min(low, -1).rounded(.down)...max(high, 1).rounded(.up)
  }

  private func x(_ density: Double) -> Double {
    let share =
      Platform.log(density / densities.lowerBound)
      / Platform.log(densities.upperBound / densities.lowerBound)
    return left + share * (right - left)
  }

  private func y(_ difference: Double) -> Double {
    bottom
      - (difference - range.lowerBound) / (range.upperBound - range.lowerBound) * (bottom - top)
  }

  private func axes(_ svg: inout Markup) {
    for point in stride(from: range.lowerBound, through: range.upperBound, by: 1) {
      line(&svg, (left, y(point)), (right, y(point)), point == 0 ? "zero" : "grid")
      let sign = point > 0 ? "+" : ""
      label(&svg, point == 0 ? "full" : sign + point.fixed(0), left - 10, y(point) + 4, "end")
    }
    for density in [0.001, 0.0025, 0.005, 0.01] {
      line(&svg, (x(density), bottom), (x(density), bottom + 5), "grid")
      label(&svg, percent(density), x(density), bottom + 20, "middle")
    }
    label(&svg, "points beside full finetuning, mean of seven tasks", left, top - 12, "start")
    label(&svg, "density", (left + right) / 2, height - 10, "middle")
  }

  private func draw(_ one: Series, _ svg: inout Markup) {
    // Series side by side, so that intervals of one density do not cover each other.
    let shift = Double(one.color) * 7 - Double(series.count - 1) * 3.5
    let points = one.points.map { (x: x($0.density) + shift, point: $0) }
    if points.count > 1 {
      let text = points.map { "\(number($0.x)),\(number(y($0.point.difference)))" }
      svg.shape(
        "polyline", [("points", text.joined(separator: " ")), ("class", "line \(of(one))")])
    }
    for (x, point) in points {
      line(
        &svg, (x, y(point.difference - point.interval)), (x, y(point.difference + point.interval)),
        "bar \(of(one))")
      svg.shape(
        "circle",
        [
          ("cx", number(x)), ("cy", number(y(point.difference))), ("r", "4.5"),
          ("class", "point \(of(one))"),
        ],
        title: "\(one.name), \(percent(point.density)): \(point.difference.fixed(2)) ± "
          + point.interval.fixed(2))
    }
  }

  private func legend(_ svg: inout Markup) {
    for (index, one) in series.enumerated() {
      let y = top + 14 + Double(index) * 22
      svg.shape(
        "circle",
        [
          ("cx", number(right + 24)), ("cy", number(y - 4)), ("r", "4.5"),
          ("class", "point \(of(one))"),
        ])
      label(&svg, one.name, right + 36, y, "start")
    }
  }

  private func percent(_ density: Double) -> String { "\((density * 1e5).rounded() / 1e3) %" }

  private func of(_ series: Series) -> String { "s\(series.color)" }

  private func line(
    _ svg: inout Markup, _ start: (Double, Double), _ end: (Double, Double), _ kind: String
  ) {
    svg.shape(
      "line",
      [
        ("x1", number(start.0)), ("y1", number(start.1)), ("x2", number(end.0)),
        ("y2", number(end.1)), ("class", kind),
      ])
  }

  private func label(
    _ svg: inout Markup, _ text: String, _ x: Double, _ y: Double, _ anchor: String
  ) {
    svg.element(
      "text", [("x", number(x)), ("y", number(y)), ("text-anchor", anchor)], text: text)
  }

  /// A coordinate.
  private func number(_ value: Double) -> String { value.fixed(1) }

  private static let style = """
    text{font:13px system-ui,sans-serif;fill:#1c2128}.grid{stroke:#d5d8dd}.zero{stroke:#69707a}
    .band{fill:#69707a;fill-opacity:.16}.line{fill:none;stroke-width:1.8}.bar{stroke-width:1.4;\
    stroke-opacity:.55}
    .s0{fill:#1f5fbf;stroke:#1f5fbf}.s1{fill:#c8641a;stroke:#c8641a}.s2{fill:#2f8f4e;\
    stroke:#2f8f4e}
    .s3{fill:#8a4fbf;stroke:#8a4fbf}.s4{fill:#b03050;stroke:#b03050}.s5{fill:#5b6470;\
    stroke:#5b6470}.line{fill:none}.point{stroke:none}
    @media (prefers-color-scheme:dark){text{fill:#e4e7eb}.grid{stroke:#333a44}.zero{stroke:#98a1ad}}
    """
}
