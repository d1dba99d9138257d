import DiffOperations

extension ReportPage {
  /// Adds the size of the diffs beside that of full copies.
  func storage(_ storage: StorageReport, _ body: inout Markup) {
    let most = Double(max(storage.copies, storage.base + storage.diffs, 1))
    body.element("section") { section in
      section.element("h2", text: "Storage")
      section.bars(
        "\(storage.tasks.counted("task")): the base once and a diff each, "
          + "\(storage.ratio.fixed(3)) × the base; full copies take \(storage.saving.fixed(1)) × as "
          + "much.",
        [
          (
            "base + diffs",
            [(Double(storage.base) / most, "ink"), (Double(storage.diffs) / most, "second")],
            (storage.base + storage.diffs).bytes
          ), ("copies", [(Double(storage.copies) / most, "copies")], storage.copies.bytes),
        ])
      section.folded(
        "The numbers", ["", "bytes"],
        [
          [Cell("base"), Cell(storage.base)], [Cell("all diffs"), Cell(storage.diffs)],
          [Cell("full copies"), Cell(storage.copies)],
        ])
    }
  }

  /// Adds the matrices of all pairs of diffs.
  func comparison(_ comparison: DiffComparison, _ body: inout Markup) {
    let count = contents.diffs.count
    let names = contents.diffs.indices.map(label)
    let areKnown = comparison.norms.contains { $0 != nil }
    body.element("section") { section in
      section.element("h2", text: "Comparison")
      section.element("div", [("class", count <= 5 ? "beside" : "beside single")]) { box in
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
      section.scale("1", isPale: true)
      var rows: [[Cell]] = []
      for one in 0..<count {
        for other in one + 1..<count {
          let pair = comparison.pair(one, other)
          func cell(_ value: Double?, _ text: (Double) -> String) -> Cell {
            value.map { Cell(text($0), $0) } ?? Cell("–")
          }
          rows.append([
            Cell("\(names[one]), \(names[other])"), Cell(pair.shared),
            cell(pair.jaccard) { $0.fixed(4) }, cell(pair.cosine) { $0.fixed(4) },
            cell(pair.signAgreement) { $0.percent }, cell(pair.normRatio) { $0.fixed(3) },
          ])
        }
      }
      section.folded(
        "The numbers", ["pair", "shared", "Jaccard", "cosine", "signs agree", "norms"], rows)
    }
  }

  /// Adds the heat maps of one tensor in each diff, on one scale.
  func heatMaps(_ body: inout Markup) {
    guard let first = contents.diffs.compactMap(\.heatMap).first else { return }
    let highest = contents.diffs.compactMap(\.heatMap?.highest).max() ?? 0
    body.element("section") { section in
      section.element("h2") { $0.breakable("Changes of \(first.name)") }
      section.note(
        "Rows (from top to bottom) and columns of \(first.shape), in cells: the density of changes "
          + "in each.")
      section.element("div", [("class", "beside map")]) { box in
        for (index, diff) in contents.diffs.enumerated() {
          let map = diff.heatMap ?? first.withoutChanges
          let whole = diff.report.entries.first {
            diff.heatMap == nil && $0.entry.name.key == first.name.key
          }
          let state =
            whole.map { "\($0.entry.operation.name) of the whole tensor" }
            ?? (map.highest == 0 ? "no changes" : "maximum \(map.highest.percent)")
          box.figure("\(label(index)): \(state)") { figure in
            let width = max(4, min(10, 720 / map.columns)) * map.columns
            let height = max(4, min(10, 480 / map.rows)) * map.rows
            figure.raster(
              "\(map.name) in \(label(index)): \(state)", columns: map.columns,
              style: "aspect-ratio:\(width)/\(height)",
              map.densities.map { highest > 0 ? $0 / highest : 0 })
          }
        }
      }
      if highest > 0 { section.scale(highest.percent) }
    }
  }

  /// Adds the magnitudes of the deltas, with the same rows and one scale for all diffs.
  func magnitudes(_ body: inout Markup) {
    let known = contents.diffs.indices.compactMap { index in
      contents.diffs[index].values.flatMap { $0.count > 0 ? (label(index), $0) : nil }
    }
    guard !known.isEmpty else { return }
    let binades = Set(known.flatMap { $1.binades.keys }).sorted(by: >)
    func share(_ binade: Int, of values: ValueDistribution) -> Double {
      Double(values.binades[binade] ?? 0) / Double(values.count)
    }
    let most = known.flatMap { _, values in binades.map { share($0, of: values) } }.max() ?? 0
    body.element("section") { section in
      section.element("h2", text: "Magnitudes of the deltas")
      section.note(
        "Counts by binade, from 2ᵉ up to 2ᵉ⁺¹; bars are shares of all deltas of a diff, in one "
          + "scale.")
      section.element("div", [("class", "beside")]) { box in
        for (name, values) in known {
          box.bars(
            "\(name): mean \(values.meanMagnitude.brief), norm \(values.l2.brief)",
            binades.map {
              (
                "2\($0.superscript)", [(share($0, of: values) / max(most, 1e-9), "ink")],
                (values.binades[$0] ?? 0).grouped
              )
            })
        }
      }
      section.folded(
        "The numbers", ["binade"] + known.map(\.0),
        binades.map { binade in
          [Cell("2\(binade.superscript)")] + known.map { Cell($1.binades[binade] ?? 0) }
        })
      let unknown = contents.diffs.indices.filter {
        contents.diffs[$0].values == nil && contents.diffs[$0].report.sparse.changes > 0
      }
      if !unknown.isEmpty {
        section.note(
          "Not known without --base, since they are exact: "
            + unknown.map(label).joined(separator: ", ") + ".")
      }
    }
  }
}
