import Foundation
import Testing
import TestSupport

/// PyTorch's results for gates, from `gates.py`.
struct GateOracle: Decodable {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    var grouping: String
    var penalty: String
    var slope: String
    var base: [String: [Float]]
    var steps: [Step]
    var differences: [String: [Float]]
    var testDescription: String { "\(grouping), \(penalty), \(slope)" }
  }

  struct Step: Decodable, Sendable {
    var gradients, weight_gradients, gate_gradients: [String: [Float]]
    var weight_norm, gate_norm, expected, twice_open, seen, open: Double
    var weights, gates, values: [String: [Float]]
    var groups: [Float]
  }

  var cases: [Case]
  var draw: [Float]

  static let all: GateOracle = {
    do {
      let path = Repository.path + "/Tests/DiffTrainingTests/Resources/gates.json"
      let data = try Data(contentsOf: URL(filePath: path))
      return try JSONDecoder().decode(GateOracle.self, from: data)
    } catch {
      Issue.record(error)
      return GateOracle(cases: [], draw: [])
    }
  }()
}
