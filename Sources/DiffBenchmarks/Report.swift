import DiffCommands

/// A table of one part, whose rows are printed as they are added.
struct Report {
  let title: String

  init(_ title: String) {
    self.title = title
    print("\n## \(title)\n")
    print("| what | diffkit | beside | ratio | bar |")
    print("|---|---|---|---|---|")
  }

  func row(
    _ what: String, _ measured: String, _ reference: String = "", ratio: Double? = nil,
    bar: String = ""
  ) {
    let ratio = ratio.map { $0.fixed(3) } ?? ""
    print("| \(what) | \(measured) | \(reference) | \(ratio) | \(bar) |")
  }
}

extension Collection<Double> {
  var median: Double {
    let sorted = self.sorted()
    return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
  }
}

/// Returns the seconds of each of several runs.
func seconds(runs: Int, _ body: () throws -> Void) rethrows -> [Double] {
  let clock = ContinuousClock()
  return try (0..<runs).map { _ in
    let duration = try clock.measure(body)
    let (seconds, attoseconds) = duration.components
    return Double(seconds) + Double(attoseconds) * 1e-18
  }
}
