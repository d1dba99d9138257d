extension ReportPage {
  /// A quantity of all runs that have it.
  private struct Quantity {
    let title: String
    let curves: [Markup.Curve]

    /// Whether no run changes it, so that a chart would show nothing.
    var isConstant: Bool {
      curves.allSatisfy { curve in
        (curve.points + curve.raw).allSatisfy { $0.y == curve.points.first?.y }
      }
    }
  }

  /// Adds the curves of the training runs, a chart for each quantity, and the shares of the layers.
  func training(_ body: inout Markup) {
    let runs = contents.curves
    guard !runs.isEmpty else { return }
    let steps =
      (runs.map(\.steps.lowerBound).min() ?? 0)...(runs.map(\.steps.upperBound).max() ?? 0)
    let quantities = quantities.filter { !$0.curves.isEmpty }
    body.element("section") { section in
      section.element(
        "h2", text: runs.count == 1 ? "Training of \(runNames[0])" : "Training")
      section.note(
        "The loss is a running mean\(runs.count == 1 ? " over that of each step" : ""). Dotted "
          + "vertical lines mark the start of a stage, dots the end of an epoch; the last value is "
          + "beside the name.")
      section.element("div", [("class", "beside")]) { box in
        for quantity in quantities where !quantity.isConstant {
          box.plot(
            quantity.title, quantity.curves, steps: steps,
            marks: Set(runs.flatMap(\.stages)).sorted())
        }
      }
      let constants = quantities.filter(\.isConstant).map { quantity in
        quantity.title + " "
          + quantity.curves.map { curve in
            (curve.points.last?.y.brief ?? "") + (runs.count == 1 ? "" : " (\(curve.name))")
          }.joined(separator: ", ")
      }
      if !constants.isEmpty {
        section.note("The same at all steps: \(constants.joined(separator: "; ")).")
      }
      layers(&section)
    }
  }

  /// The file names of the metrics without their suffixes, or the paths where those are not unique.
  private var runNames: [String] {
    let names = contents.curves.map { stem($0.path) }
    return Set(names).count == names.count ? names : contents.curves.map(\.path)
  }

  private var quantities: [Quantity] {
    let runs = Array(zip(runNames, contents.curves).enumerated())
    let losses = runs.map { color, run in
      Markup.Curve(
        name: run.0, color: color, points: run.1.smoothLosses.thinned(),
        raw: runs.count == 1 ? run.1.losses.thinned() : [])
    }
    let open = runs.filter { !$1.1.open.isEmpty }.map { color, run in
      Markup.Curve(
        name: run.0, color: color, points: run.1.open.thinned().map { ($0.x, $0.y * 100) })
    }
    let scores = Set(runs.flatMap { $1.1.scores.keys }).sorted().map { name in
      Quantity(
        title: name,
        curves: runs.compactMap { color, run in
          run.1.scores[name].map {
            Markup.Curve(name: run.0, color: color, points: $0.thinned(), hasDots: true)
          }
        })
    }
    return [
      Quantity(title: "Loss", curves: losses), Quantity(title: "Open gates, %", curves: open),
    ] + scores
  }

  /// Adds the share of each layer over the steps, in one scale for all runs.
  private func layers(_ section: inout Markup) {
    let runs = zip(runNames, contents.curves).filter { !$1.layers.isEmpty }
    guard !runs.isEmpty else { return }
    let highest = runs.flatMap { $1.layers.flatMap(\.shares) }.map(\.y).max() ?? 0
    section.element("h3", text: "Share by layer over the steps")
    section.note(
      "The share of a layer's elements that are open in stage gates, and kept in stage fixed; the "
        + "last share is at the right.")
    section.element("div", [("class", "beside")]) { box in
      for (name, run) in runs {
        let steps = "steps \(Int(run.steps.lowerBound)) to \(Int(run.steps.upperBound))"
        box.figure("\(name): \(steps)") { figure in
          figure.rows(.short) { rows in
            for layer in run.layers {
              rows.row(layer.name, (layer.shares.last?.y ?? 0).percent) { row in
                let shares = layer.shares.sampled(over: run.steps)
                row.raster(
                  "\(layer.name), \(steps)", columns: shares.count,
                  shares.map { highest > 0 ? $0 / highest : 0 })
              }
            }
          }
        }
      }
    }
    section.scale(highest.percent)
  }
}

extension [(x: Double, y: Double)] {
  /// Returns the values in at most `most` equal parts of a range: in each the last one, or that of
  /// the part before.
  fileprivate func sampled(over range: ClosedRange<Double>, most: Int = 120) -> [Double] {
    let length = range.upperBound - range.lowerBound
    let count = Int(Swift.min(Double(most), length + 1))
    var parts = [Double?](repeating: nil, count: count)
    for (x, y) in self {
      let share = (x - range.lowerBound) / Swift.max(length, 1)
      parts[Swift.max(0, Swift.min(count - 1, Int(share * Double(count))))] = y
    }
    var last = first?.y ?? 0
    return parts.map { part in
      last = part ?? last
      return last
    }
  }
}
