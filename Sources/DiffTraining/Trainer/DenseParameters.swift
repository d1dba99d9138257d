#if Training
  import TensorCore

  /// Parameters that learn whole: a head, or a model that is finetuned in full. Rows of tables that
  /// no batch has read have zero moments and stay as they are, so they are left out until one does.
  final class DenseParameters {
    private let values: FloatBuffer
    private let gradients: Gradients
    let means, squares: FloatBuffer
    /// The parameters that learn, by their place in the layout.
    let parameters: [Int]
    /// Of each table among them, the rows that were read.
    private(set) var seen: [Int: [Bool]] = [:]
    private var ranges: [Range<Int>] = []

    init(_ parameters: [Int], _ values: FloatBuffer, _ gradients: Gradients) {
      self.parameters = parameters
      self.values = values
      self.gradients = gradients
      means = FloatBuffer(count: values.count)
      squares = FloatBuffer(count: values.count)
      for index in parameters where gradients.touchedRows(of: index) != nil {
        let parameter = gradients.layout.parameters[index]
        let rows = parameter.range.count / max(1, Int(parameter.shape.rowLength))
        seen[index] = [Bool](repeating: false, count: rows)
      }
      plan()
    }

    /// The squared norm of the gradients.
    func measure() -> Double {
      see()
      let norms = FloatBuffer(count: ranges.count)
      parallelFor(ranges.count) { [ranges, values = gradients.values] in
        var span = norms.mutableSpan
        span[$0] = Float(Kernels.squaredNorm(values, ranges[$0]))
      }
      let span = norms.span
      return span.indices.reduce(0) { $0 + Double(span[$1]) }
    }

    /// Takes a step with the gradients that were measured.
    func update(_ step: AdamStep) {
      parallelFor(ranges.count) {
        [ranges, values, means, squares, gradients = gradients.values] index in
        Kernels.withoutSubnormals {
          Kernels.adamStep(values, gradients, means, squares, ranges[index], step)
        }
      }
    }

    /// Restores which rows were read.
    func restore(seen rows: [Int: [Bool]]) {
      seen = rows
      plan()
    }

    private func see() {
      var isNew = false
      for index in seen.keys.sorted() {
        for row in gradients.touchedRows(of: index) ?? [] where seen[index]?[row] == false {
          seen[index]?[row] = true
          isNew = true
        }
      }
      if isNew { plan() }
    }

    /// Lays down the pieces that threads take.
    private func plan() {
      ranges.removeAll(keepingCapacity: true)
      for index in parameters {
        let parameter = gradients.layout.parameters[index]
        guard let rows = seen[index] else {
          add(parameter.range)
          continue
        }
        let width = Int(parameter.shape.rowLength)
        for run in rows.runsOfTrue {
          let start = parameter.range.lowerBound
          add(start + run.lowerBound * width..<start + run.upperBound * width)
        }
      }
    }

    private func add(_ range: Range<Int>) {
      for start in stride(from: range.lowerBound, to: range.upperBound, by: GateRun.room) {
        ranges.append(start..<min(range.upperBound, start + GateRun.room))
      }
    }
  }
#endif
