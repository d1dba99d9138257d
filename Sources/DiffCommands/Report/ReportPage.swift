import DiffOperations
import Kernels
import Platform
import SystemSupport

/// A report as an HTML page.
struct ReportPage {
  let contents: ReportContents

  init(_ contents: ReportContents) { self.contents = contents }

  var html: String {
    var body = Markup()
    body.element("header") { header in
      header.element("h1", text: "Report on sparse diffs")
      header.note(
        "Sparse diffs of one base model, measured by diffkit. Density: changed elements / all "
          + "elements of the tensors that a diff changes.")
      header.element("p", [("class", "muted")]) { made in
        made.text("Report made on \(Self.today) by diffkit \(DiffKitVersion.current) with ")
        made.element("code", text: contents.command)
      }
    }
    overview(&body)
    if let storage = contents.storage { self.storage(storage, &body) }
    if let comparison = contents.comparison { self.comparison(comparison, &body) }
    densities(&body)
    heatMaps(&body)
    magnitudes(&body)
    training(&body)
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

  /// Returns the file name of a diff without its suffix, after its number if there are several.
  func label(_ index: Int) -> String {
    let name = stem(contents.diffs[index].path)
    return contents.diffs.count == 1 ? name : "\(index + 1) \(name)"
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
            Cell(contents.diffs.count == 1 ? diff.path : "\(index + 1). \(diff.path)"),
            Cell(diff.report.fileSize), Cell(sparse.changes),
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
      section.note(
        "Bits per position: the average number of bits that the position of a change takes. "
          + "Bound: the minimum for any code if the positions are uniformly random (entropy); fewer "
          + "bits mean that the changes are concentrated in some rows or columns. Norm: the L2 norm "
          + "of all changes as one vector.")
      guard contents.diffs.contains(where: { !$0.metadata.isEmpty }) else { return }
      section.element("h3", text: "Tasks and origin")
      section.element("div", [("class", "cards")]) { cards in
        for (index, diff) in contents.diffs.enumerated() where !diff.metadata.isEmpty {
          cards.element("div", [("class", "card")]) { card in
            let history = DiffHistory(diff.metadata)
            card.element("h3", text: label(index))
            if let score = history.score {
              card.element("p", [("class", "score")], text: score)
            }
            for line in history.lines { card.element("p", text: line) }
            card.folded("Metadata") { details in
              details.element("dl") { list in
                for (key, value) in diff.metadata.sorted(by: { $0.key < $1.key }) {
                  list.element("dt", text: key)
                  list.element("dd", text: value)
                }
              }
            }
          }
        }
      }
    }
  }
}
