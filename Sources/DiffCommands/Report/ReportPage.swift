import DiffOperations
import Kernels
import Platform
import SystemSupport

/// A report as an HTML page.
struct ReportPage {
  private let contents: ReportContents

  init(_ contents: ReportContents) { self.contents = contents }

  var html: String {
    var body = Markup()
    body.element("header") { header in
      header.element("h1", text: "Report on sparse diffs")
      header.element(
        "p", [("class", "muted")],
        text: "Sparse diffs of one base model, measured by diffkit. Density: changed elements / "
          + "all elements of the tensors that a diff changes.")
      header.element(
        "p", [("class", "muted")],
        text: "\(Self.today), diffkit \(DiffKitVersion.current): \(contents.command)")
    }
    overview(&body)
    if let storage = contents.storage { self.storage(storage, &body) }
    if let comparison = contents.comparison { self.comparison(comparison, &body) }
    heatMaps(&body)
    for curves in contents.curves { self.curves(curves, &body) }
    for (index, diff) in contents.diffs.enumerated() { section(index, diff, &body) }
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"/>
      <meta name="viewport" content="width=device-width, initial-scale=1"/>
      <meta name="color-scheme" content="light dark"/>
      <title>diffkit report</title>
      <style>\(Self.style)</style></head><body>
      \(body.html)</body></html>

      """
  }

  /// The date in UTC, as 2026-11-26. Years are counted from March, so that the leap day comes last
  /// (Hinnant, «chrono-Compatible Low-Level Date Algorithms»).
  private static var today: String {
    let days = Int(time(nil)) / 86_400 + 719_468
    let (era, day) = days.quotientAndRemainder(dividingBy: 146_097)
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365
    let ofYear = day - (365 * year + year / 4 - year / 100)
    let month = (5 * ofYear + 2) / 153
    let ofMonth = ofYear - (153 * month + 2) / 5 + 1
    let number = month < 10 ? month + 3 : month - 9
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    return "\(era * 400 + year + (number <= 2 ? 1 : 0))-\(two(number))-\(two(ofMonth))"
  }

  /// Returns the path of a diff, after its number if there are several diffs.
  private func name(_ index: Int) -> String {
    let path = contents.diffs[index].path
    return contents.diffs.count == 1 ? path : "\(index + 1). \(path)"
  }

  private func overview(_ body: inout Markup) {
    body.element("section") { section in
      var header = ["diff", "bytes", "changes", "density", "norm", "bits per position", "bound"]
      if contents.modelElements != nil { header.insert("of the model", at: 4) }
      section.table(
        header,
        contents.diffs.enumerated().map { index, diff in
          let sparse = diff.report.sparse
          var row = [
            Cell(name(index)), Cell(diff.report.fileSize), Cell(sparse.changes),
            Cell(sparse.density.percent, sparse.density),
            diff.values.map { Cell($0.l2.brief, $0.l2) } ?? Cell("–"),
            Cell(sparse.bitsPerPosition.fixed(2), sparse.bitsPerPosition),
            Cell(sparse.boundPerPosition.fixed(2), sparse.boundPerPosition),
          ]
          if let elements = contents.modelElements {
            let density = Double(sparse.changes) / Double(max(1, elements))
            row.insert(Cell(density.percent, density), at: 4)
          }
          return row
        })
      section.element(
        "p", [("class", "muted")],
        text: "Bits per position: the average number of bits that the position of a change takes. "
          + "Bound: the minimum for any code if the positions are uniformly random (entropy); fewer "
          + "bits mean that the changes are concentrated in some rows or columns. Norm: the L2 norm "
          + "of all changes as one vector.")
      let histories = contents.diffs.map { DiffHistory($0.metadata) }
      guard histories.contains(where: { !$0.isEmpty }) else { return }
      section.element("h3", text: "Tasks and origin")
      section.element("div", [("class", "cards")]) { cards in
        for (index, history) in histories.enumerated() where !history.isEmpty {
          cards.element("div", [("class", "card")]) { card in
            card.element("h3", text: shortName(index))
            if let score = history.score {
              card.element("p", [("class", "score")], text: score)
            }
            for line in history.lines { card.element("p", text: line) }
          }
        }
      }
    }
  }

  /// Returns the file name of a diff without its suffix.
  private func shortName(_ index: Int) -> String { stem(contents.diffs[index].path) }

  private func storage(_ storage: StorageReport, _ body: inout Markup) {
    let tasks = storage.tasks.counted("task")
    let most = Double(max(storage.copies, storage.base + storage.diffs, 1))
    body.element("section") { section in
      section.element("h2", text: "Storage")
      section.bars(
        "\(tasks): the base once and a diff each, \(storage.ratio.fixed(3)) × the base; "
          + "full copies take \(storage.saving.fixed(1)) × as much.",
        [
          (
            "base + diffs",
            [(Double(storage.base) / most, "ink"), (Double(storage.diffs) / most, "second")],
            (storage.base + storage.diffs).bytes
          ), ("copies", [(Double(storage.copies) / most, "none")], storage.copies.bytes),
        ])
      section.folded(
        "The numbers", ["", "bytes"],
        [
          [Cell("base"), Cell(storage.base)], [Cell("all diffs"), Cell(storage.diffs)],
          [Cell("full copies"), Cell(storage.copies)],
        ])
    }
  }

  private func comparison(_ comparison: DiffComparison, _ body: inout Markup) {
    let count = contents.diffs.count
    let names = contents.diffs.indices.map(shortName)
    let areKnown = comparison.norms.contains { $0 != nil }
    body.element("section") { section in
      section.element("h2", text: "Comparison")
      section.element("div", [("class", "beside")]) { box in
        box.matrix("Overlap: positions that both change / that either changes", names: names) {
          let value = comparison.pair($0, $1).jaccard
          return (value, value.fixed(3))
        }
        if areKnown {
          box.matrix("Cosine of the deltas, shaded by magnitude", names: names) {
            let value = comparison.pair($0, $1).cosine
            return (abs(value ?? 0), value?.fixed(3) ?? "–")
          }
        }
      }
      section.scale("1")
      var rows: [[Cell]] = []
      for one in 0..<count {
        for other in one + 1..<count {
          let pair = comparison.pair(one, other)
          func cell(_ value: Double?, _ text: (Double) -> String) -> Cell {
            value.map { Cell(text($0), $0) } ?? Cell("–")
          }
          rows.append([
            Cell("\(one + 1), \(other + 1)"), Cell(pair.shared),
            cell(pair.jaccard) { $0.fixed(4) }, cell(pair.cosine) { $0.fixed(4) },
            cell(pair.signAgreement) { $0.percent }, cell(pair.normRatio) { $0.fixed(3) },
          ])
        }
      }
      section.folded(
        "The numbers", ["pair", "shared", "Jaccard", "cosine", "signs agree", "norms"], rows)
    }
  }

  private func section(_ index: Int, _ diff: ReportContents.Diff, _ body: inout Markup) {
    body.element("section") { section in
      section.element("h2", text: name(index))
      if !diff.metadata.isEmpty {
        section.folded(
          "Metadata", ["key", "value"],
          diff.metadata.sorted { $0.key < $1.key }.map { [Cell($0.key), Cell($0.value)] })
      }
      densities(diff, &section)
      if let values = diff.values, values.count > 0 { magnitudes(values, &section) }
    }
  }

  /// Adds the heat maps of one tensor in each diff, side by side, on one scale.
  private func heatMaps(_ body: inout Markup) {
    let maps = contents.diffs.indices.compactMap { index in
      contents.diffs[index].heatMap.map { (name: shortName(index), map: $0) }
    }
    guard let first = maps.first?.map else { return }
    let highest = maps.map(\.map.highest).max() ?? 0
    body.element("section") { section in
      section.element("h2", text: "Changes of \(first.name)")
      section.element("div", [("class", "beside")]) { box in
        for (name, map) in maps { heatMap(map, named: name, of: highest, in: &box) }
      }
      section.scale(highest.percent)
      section.element(
        "p", [("class", "muted")],
        text: "Rows and columns of \(first.shape), in cells: the density of changes in each.")
    }
  }

  private func heatMap(
    _ map: HeatMap, named name: String, of highest: Double, in section: inout Markup
  ) {
    let (width, height) = (max(4, min(10, 720 / map.columns)), max(4, min(10, 480 / map.rows)))
    section.figure(
      "\(name): the maximum density of a cell is \(map.highest.percent).",
      width: map.columns * width + 1, height: map.rows * height + 1
    ) { svg in
      for (share, path) in map.paths(width, height, of: highest) {
        svg.shape(
          "path", [("class", "shade"), ("style", Markup.shade(share)), ("d", path)])
      }
      svg.shape(
        "rect",
        [
          ("x", "0"), ("y", "0"), ("width", "\(map.columns * width)"),
          ("height", "\(map.rows * height)"), ("class", "frame"),
        ])
    }
  }

  private func curves(_ curves: TrainingCurves, _ body: inout Markup) {
    body.element("section") { section in
      section.element("h2", text: "Training: \(stem(curves.path))")
      section.element("div", [("class", "beside")]) { box in
        box.lines(
          "Loss of each step, and its running mean; vertical lines mark the start of a stage.",
          [
            Markup.Series(points: curves.losses.thinned(), isFaint: true),
            Markup.Series(points: curves.smoothLosses.thinned()),
          ], marks: curves.stages)
        if !curves.open.isEmpty {
          box.lines(
            "The share of open gates.", [Markup.Series(points: curves.open.thinned())])
        }
        for (name, points) in curves.scores.sorted(by: { $0.key < $1.key }) {
          box.lines(
            "\(name) on the dev rows after each epoch.",
            [Markup.Series(points: points), Markup.Series(points: points, arePoints: true)],
            marks: curves.stages)
        }
      }
    }
  }

  private func magnitudes(_ values: ValueDistribution, _ section: inout Markup) {
    section.element("h3", text: "Magnitudes of the deltas")
    let binades = values.binades.sorted { $0.key > $1.key }
    let most = Double(binades.map(\.value).max() ?? 1)
    section.bars(
      "Magnitudes by binade, from 2ᵉ up to 2ᵉ⁺¹; mean \(values.meanMagnitude.brief), "
        + "norm \(values.l2.brief).",
      binades.map {
        ("2\($0.key.superscript)", [(Double($0.value) / most, "ink")], $0.value.grouped)
      })
    section.folded(
      "The numbers", ["binade", "values"],
      binades.map { [Cell("2\($0.key.superscript)"), Cell($0.value)] })
  }
}
