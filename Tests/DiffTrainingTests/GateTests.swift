import DiffTraining
import Foundation
import Kernels
import TensorCore
import Testing
import TestSupport

@Suite struct GateTests {
  static let learningRate = (weights: 0.02, gates: 0.1)
  static let clip = (weights: 0.5, gates: 0.25)
  static let touched = [[4, 1], [4, 5], [0, 1]]

  /// The model of `gates.py`.
  static func layout() throws -> ParameterLayout {
    var layout = ParameterLayout()
    let attention = "encoder.layer.0.attention"
    try layout.append("table", #require(Shape([7, 4])), isTable: true)
    try layout.append("\(attention).self.query.weight", #require(Shape([4, 4])))
    try layout.append("\(attention).output.dense.weight", #require(Shape([4, 4])))
    try layout.append("bias", #require(Shape([5])))
    try layout.append("classifier", #require(Shape([2, 4])), isHead: true)
    return layout
  }

  @Test("draws are the function of seed, step, stream and position that the oracle has")
  func chanceIsReproducible() {
    let draw = GateDraw(seed: 7, step: 5, stream: 2)
    #expect((0..<8).map { draw[$0] } == GateOracle.all.draw)
    #expect(GateOracle.all.draw.count == 8)
  }

  @Test("three steps are those of PyTorch's autograd", arguments: GateOracle.all.cases)
  func stepsMatchTheOracle(_ oracle: GateOracle.Case) throws {
    let layout = try Self.layout()
    let values = FloatBuffer(count: layout.count)
    for parameter in layout.parameters {
      values.set(oracle.base[parameter.name.description] ?? [], at: parameter.range.lowerBound)
    }
    let gradients = Gradients(layout)
    let gates = GatedParameters(
      layout, values, gradients,
      grouping: try #require(
        GateGrouping(oracle.grouping == "head" ? "head:2" : oracle.grouping)),
      penalty: try #require(GatePenalty(rawValue: oracle.penalty)),
      slope: try #require(GateSlope(rawValue: oracle.slope)), seed: 7)
    gates.sample(step: 0)
    for (step, expected) in oracle.steps.enumerated() {
      for row in Self.touched[step] { gradients.touch(row: row, of: 0) }
      for parameter in layout.parameters {
        gradients.values.set(
          expected.gradients[parameter.name.description] ?? [], at: parameter.range.lowerBound)
      }
      let measure = gates.measure(step: step, lambda: 0.01)
      #expect(measure.weightNorm.isClose(to: expected.weight_norm, within: 1e-6))
      #expect(measure.gateNorm.isClose(to: expected.gate_norm, within: 1e-6))
      #expect(measure.expectedDensity.isClose(to: expected.expected, within: 1e-6))
      #expect(measure.twiceOpenDensity.isClose(to: expected.twice_open, within: 1e-6))
      #expect(measure.seenDensity.isClose(to: expected.seen, within: 1e-8))
      #expect(measure.openDensity.isClose(to: expected.open, within: 1e-8))
      // Those of the parameters are their parts.
      let count = Double(gates.count)
      #expect(
        (measure.expected.reduce(0, +) / count).isClose(
          to: measure.expectedDensity, within: 1e-9))
      #expect((measure.open.reduce(0, +) / count).isClose(to: measure.openDensity, within: 1e-9))
      gates.update(
        step: step,
        weights: AdamStep(
          learningRate: Self.learningRate.weights, number: step + 1, scale: Self.clip.weights),
        gates: AdamStep(
          learningRate: Self.learningRate.gates, number: step + 1, scale: Self.clip.gates),
        shared: AdamStep(
          learningRate: Self.learningRate.gates, number: step + 1, scale: Self.clip.gates))
      gradients.clear()
      let buffers = gates.buffers[0]
      for parameter in layout.parameters where !parameter.isHead {
        let (name, range) = (parameter.name.description, parameter.range)
        // Rows that were never read have no separate gates to compare.
        let seen = Set(Self.touched.prefix(step + 1).joined())
        let read = (0..<range.count).filter { name != "table" || seen.contains($0 / 4) }
        func expectEqual(_ found: FloatBuffer, _ wanted: [String: [Float]], within: Float) {
          for i in read {
            let difference = (found.span[range.lowerBound + i] - (wanted[name]?[i] ?? .nan))
            #expect(abs(difference) < within, "\(name)[\(i)], step \(step)")
          }
        }
        if step == 0 {
          // The first moments are a tenth of the first gradients, clipped.
          let weights = buffers.weightMeans.scaled(10 / Float(Self.clip.weights))
          let locations = buffers.gateMeans.scaled(10 / Float(Self.clip.gates))
          expectEqual(weights, expected.weight_gradients, within: 1e-6)
          expectEqual(locations, expected.gate_gradients, within: 1e-6)
        }
        expectEqual(buffers.weights, expected.weights, within: 2e-6)
        expectEqual(buffers.gates, expected.gates, within: 2e-5)
        for i in 0..<range.count {
          let value = values.span[range.lowerBound + i]
          #expect(abs(value - (expected.values[name]?[i] ?? .nan)) < 2e-6, "\(name)[\(i)]")
        }
      }
      if oracle.grouping == "tensor" || oracle.grouping == "head" {
        for (found, wanted) in zip(gates.groupLocations, expected.groups) {
          #expect(abs(found - wanted) < 2e-5)
        }
        #expect(gates.groupLocations.count == expected.groups.count)
      }
    }
    let differences = gates.settle()
    for parameter in layout.parameters where !parameter.isHead {
      for i in 0..<parameter.range.count {
        let place = parameter.range.lowerBound + i
        let wanted = oracle.differences[parameter.name.description]?[i] ?? .nan
        #expect(abs(differences.span[place] - wanted) < 2e-6)
        #expect(values.span[place] == gates.base.span[place] + differences.span[place])
      }
    }
  }

  @Test(
    "what is measured of a parameter is of its own elements",
    arguments: [GateGrouping.row, .column])
  func measuresOfParameters(_ grouping: GateGrouping) throws {
    let sizes = [(rows: 6, columns: 4), (rows: 1, columns: 5), (rows: 3, columns: 8)]
    var layout = ParameterLayout()
    try layout.append("first", #require(Shape([6, 4])))
    try layout.append("bias", #require(Shape([5])))
    try layout.append("second", #require(Shape([3, 8])))
    try layout.append("classifier", #require(Shape([2, 4])), isHead: true)
    let gradients = Gradients(layout)
    let gates = GatedParameters(
      layout, FloatBuffer(count: layout.count), gradients, grouping: grouping, seed: 3)
    let buffers = gates.buffers[0]
    var random = SplitMix64(seed: 4)
    for parameter in layout.parameters where !parameter.isHead {
      for buffer in [buffers.gates, buffers.weights, gradients.values] {
        let numbers = parameter.range.map { _ in Float(random.gaussian()) }
        buffer.set(numbers, at: parameter.range.lowerBound)
      }
    }
    // A step that opens some groups and closes others, since Adam's first is as long as its rate.
    gates.sample(step: 0)
    _ = gates.measure(step: 0, lambda: 0)
    gates.update(
      step: 0, weights: AdamStep(learningRate: 0.1, number: 1),
      gates: AdamStep(learningRate: 0.1, number: 1), shared: AdamStep(learningRate: 6, number: 1))
    let locations = gates.groupLocations
    #expect(locations.contains { $0 > 0 } && locations.contains { $0 < 0 })
    let measure = gates.measure(step: 1, lambda: 0.01)
    var firstGroup = 0
    for (parameter, size) in zip(layout.parameters, sizes) {
      var expected = 0.0
      var open = 0.0
      var groups: Set<Int> = []
      for i in 0..<parameter.range.count {
        let number = grouping == .row ? i / size.columns : i % size.columns
        let group = firstGroup + (size.rows == 1 ? 0 : number)
        groups.insert(group)
        let shared = locations[group]
        let own = buffers.gates.span[parameter.range.lowerBound + i]
        expected += 1 / ((1 + exp(-Double(own))) * (1 + exp(-Double(shared))))
        if own > 0 && shared > 0 { open += 1 }
      }
      firstGroup += groups.count
      let found = (measure.expected[parameter.index], measure.open[parameter.index])
      #expect(found.0.isClose(to: expected, within: 1e-5), "\(parameter.name)")
      #expect(found.1 == open, "\(parameter.name)")
    }
    #expect(locations.count == firstGroup)
    #expect(measure.expected.last == 0 && measure.open.last == 0)
  }

  @Test("as many gates open in 10^6 draws as expected", arguments: [Float(-3), 0, 2])
  func expectationMatchesTheMean(location: Float) {
    var open = 0
    let draws = 1_000_000
    let draw = GateDraw(seed: 11, step: 0, stream: 0)
    for position in 0..<UInt32(draws)
    where Kernels.gate(location, chance: draw[position], expected: false).z > 0 {
      open += 1
    }
    let p = 1 / (1 + exp(-Double(location)))
    let deviation = (p * (1 - p) / Double(draws)).squareRoot()
    #expect(abs(Double(open) / Double(draws) - p) < 4 * deviation, "\(open)")
  }

  @Test("E‖δ‖₀ is the mean over 10^6 draws of elements' gates and their groups'")
  func expectationMatchesTheMeanOfGroups() throws {
    var layout = ParameterLayout()
    for tensor in 0..<100 { try layout.append("tensor \(tensor)", #require(Shape([100]))) }
    let values = FloatBuffer(count: layout.count)
    let gradients = Gradients(layout)
    gradients.values.set([Float](repeating: 1, count: layout.count), at: 0)
    let gates = GatedParameters(layout, values, gradients, seed: 17)
    gates.sample(step: 0)
    _ = gates.measure(step: 0, lambda: 1)
    // Adam's first step is as long as its rate: it moves w from 0, and gates from 5 to 0.3, groups'
    // to -0.4.
    gates.update(
      step: 0, weights: AdamStep(learningRate: 1, number: 1),
      gates: AdamStep(learningRate: 4.7, number: 1),
      shared: AdamStep(learningRate: 5.4, number: 1))
    let expected = gates.measure(step: 1, lambda: 1).expectedDensity * Double(gates.count)
    #expect(expected > 1000 && expected < 9000)
    let counts = (1...100).map { step in
      gates.sample(step: step)
      return Double((0..<layout.count).count { values.span[$0] != 0 })
    }
    let mean = counts.reduce(0, +) / 100
    let variance = counts.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 99
    #expect(abs(mean - expected) < 4 * (variance / 100).squareRoot(), "\(mean), \(expected)")
  }

  @Test("draws of neighbours, and of successive steps, are independent")
  func chanceIsIndependent() {
    let count = 1 << 18
    let draws = (0..<3).map { GateDraw(seed: 5, step: UInt64($0), stream: 0) }
    func correlation(_ one: GateDraw, _ other: GateDraw, lag: UInt32) -> Double {
      var sum = 0.0
      for i in 0..<UInt32(count) {
        sum += Double(one[i] - 0.5) * Double(other[i + lag] - 0.5) * 12
      }
      return sum / Double(count)
    }
    // A correlation of independent numbers deviates by 1 / √count.
    let bound = 5 / Double(count).squareRoot()
    for lag in [1, 2, 16, 384, 1 << 16] as [UInt32] {
      #expect(abs(correlation(draws[0], draws[0], lag: lag)) < bound, "\(lag)")
    }
    #expect(abs(correlation(draws[0], draws[1], lag: 0)) < bound)
    #expect(abs(correlation(draws[1], draws[2], lag: 1)) < bound)
  }

  @Test("a gate is that of the formula with logarithms, to 1e-6")
  func gatesMatchTheFormula() {
    var worst = 0.0
    let draw = GateDraw(seed: 3, step: 1, stream: 0)
    for i in 0..<UInt32(100_000) {
      let location = Float(Int(i % 241) - 120) / 4
      let u = Double(draw[i])
      let s = 1 / (1 + exp(-(log(u) - log(1 - u) + Double(location))))
      let z = min(1, max(0, s * 3 - 1.5))
      let gate = Kernels.gate(location, chance: draw[i], expected: false)
      worst = max(worst, abs(Double(gate.z) - z))
      if z > 1e-5 && z < 1 - 1e-5 {
        worst = max(worst, abs(Double(gate.slope) - 3 * s * (1 - s)))
      }
    }
    #expect(worst < 1e-6, "\(worst)")
  }

  @Test(
    "the expected slope is near the mean of drawn ones", arguments: [Float(-4), -1, 0.7, 3, 5])
  func expectedSlopeIsTheMean(location: Float) {
    let draw = GateDraw(seed: 11, step: 0, stream: 0)
    let count = 1_000_000
    var sum = 0.0
    for i in 0..<UInt32(count) {
      sum += Double(Kernels.gate(location, chance: draw[i], expected: false).slope)
    }
    let mean = sum / Double(count)
    let expected = Double(Kernels.gate(location, chance: 0.5, expected: true).slope)
    #expect(abs(expected / mean - 1) < 0.15, "\(location): \(expected), \(mean)")
  }
}

extension Double {
  fileprivate func isClose(to other: Double, within relative: Double) -> Bool {
    abs(self - other) <= relative * max(1, abs(other))
  }
}

extension FloatBuffer {
  func set(_ values: [Float], at start: Int) {
    var span = mutableSpan
    for (i, value) in values.enumerated() { span[start + i] = value }
  }

  fileprivate func scaled(_ factor: Float) -> FloatBuffer {
    let result = FloatBuffer(count: count)
    result.set((0..<count).map { span[$0] * factor }, at: 0)
    return result
  }
}
