import DiffOperations
import Kernels

/// A report as an HTML page.
struct ReportPage {
  private let facts: ReportFacts

  init(_ facts: ReportFacts) { self.facts = facts }

  var html: String {
    var body = Markup()
    body.element("header") { header in
      header.element("h1", text: "Where the finetunes live")
      header.element(
        "p", [("class", "muted")],
        text: "Sparse diffs of one base model, measured by diffkit. Densities are changed "
          + "elements over all elements of the tensors concerned.")
    }
    overview(&body)
    if let storage = facts.storage { self.storage(storage, &body) }
    if let comparison = facts.comparison { self.comparison(comparison, &body) }
    for (index, diff) in facts.diffs.enumerated() { section(index, diff, &body) }
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

  /// A number before the path where there are several.
  private func name(_ index: Int) -> String {
    let path = facts.diffs[index].path
    return facts.diffs.count == 1 ? path : "\(index + 1). \(path)"
  }

  private func overview(_ body: inout Markup) {
    body.element("section") { section in
      var header = ["diff", "bytes", "changes", "density", "norm", "bits a position", "bound"]
      if facts.modelElements != nil { header.insert("of the model", at: 4) }
      section.table(
        header,
        facts.diffs.enumerated().map { index, diff in
          let sparse = diff.report.sparse
          var row = [
            Cell(name(index)), Cell(diff.report.fileSize), Cell(sparse.changes),
            Cell(sparse.density.percent, sparse.density),
            diff.values.map { Cell($0.l2.brief, $0.l2) } ?? Cell("–"),
            Cell(sparse.bitsPerPosition.fixed(2), sparse.bitsPerPosition),
            Cell(sparse.boundPerPosition.fixed(2), sparse.boundPerPosition),
          ]
          if let elements = facts.modelElements {
            let density = Double(sparse.changes) / Double(max(1, elements))
            row.insert(Cell(density.percent, density), at: 4)
          }
          return row
        })
    }
  }

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
          [Cell("a copy for each"), Cell(storage.copies)],
        ])
    }
  }

  private func comparison(_ comparison: DiffComparison, _ body: inout Markup) {
    let count = facts.diffs.count
    let areKnown = comparison.norms.contains { $0 != nil }
    body.element("section") { section in
      section.element("h2", text: "How they relate")
      section.element("div", [("class", "beside")]) { box in
        box.matrix("Overlap: positions that both change, of those that either does", count: count) {
          let value = comparison.pair($0, $1).jaccard
          return (value, value.fixed(3))
        }
        if areKnown {
          box.matrix("Cosine of the deltas; its strength is shown", count: count) {
            let value = comparison.pair($0, $1).cosine
            return (abs(value ?? 0), value?.fixed(3) ?? "–")
          }
        }
      }
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

  private func section(_ index: Int, _ diff: ReportFacts.Diff, _ body: inout Markup) {
    body.element("section") { section in
      section.element("h2", text: name(index))
      if !diff.metadata.isEmpty {
        section.folded(
          "Metadata", ["key", "value"],
          diff.metadata.sorted { $0.key < $1.key }.map { [Cell($0.key), Cell($0.value)] })
      }
      densities(diff, &section)
      if let map = diff.heatMap { heatMap(map, &section) }
      if let values = diff.values, values.count > 0 { magnitudes(values, &section) }
    }
  }

  private func heatMap(_ map: HeatMap, _ section: inout Markup) {
    section.element("h3", text: "Inside \(map.name)")
    let (width, height) = (max(4, min(10, 720 / map.columns)), max(4, min(10, 480 / map.rows)))
    let caption =
      "Rows and columns of \(map.shape), in cells; the strongest has a density of "
      + "\(map.highest.percent)."
    section.figure(
      caption, width: map.columns * width + 1, height: map.rows * height + 1
    ) { svg in
      for (level, path) in map.paths(width, height) {
        svg.shape(
          "path",
          [("class", "ink"), ("fill-opacity", (0.05 + 0.95 * level).fixed(2)), ("d", path)])
      }
      svg.shape(
        "rect",
        [
          ("x", "0"), ("y", "0"), ("width", "\(map.columns * width)"),
          ("height", "\(map.rows * height)"), ("class", "frame"),
        ])
    }
  }

  private func magnitudes(_ values: ValueDistribution, _ section: inout Markup) {
    section.element("h3", text: "How large the deltas are")
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
