import StrictJSON
import SystemSupport
import TensorCore

/// The curves of a training run, from its metrics file.
struct TrainingCurves {
  /// The path of the file.
  let path: String
  /// The loss and the share of open gates, by step.
  private(set) var losses: [(x: Double, y: Double)] = []
  private(set) var open: [(x: Double, y: Double)] = []
  /// The scores after epochs, by name.
  private(set) var scores: [String: [(x: Double, y: Double)]] = [:]
  /// The shares of the elements of each layer that are open, or kept, by step.
  private(set) var layers: [(name: String, shares: [(x: Double, y: Double)])] = []
  /// The first steps of all stages but the first.
  private(set) var stages: [Double] = []

  /// - Throws: `io`; `malformed` with the number of the line.
  init(_ path: String) throws(DiffError) {
    self.path = path
    let bytes = try File.contents(of: path)
    guard !bytes.isEmpty else {
      throw DiffError(.malformed, "has no metrics: it is empty", path: path)
    }
    var stage: String?
    var layerNumbers: [String: Int] = [:]
    for (number, line) in bytes.split(separator: 0x0A).enumerated() {
      guard let json = try? JSONValue(parsing: Array(line)), let step = json["step"]?.double,
        let loss = json["loss"]?.double, Self.canBeDrawn(step), Self.canBeDrawn(loss)
      else {
        throw DiffError(
          .malformed, "line \(number + 1) is not a line of training metrics", path: path)
      }
      let name = json["stage"]?.text
      if let stage, name != stage { stages.append(step) }
      stage = name
      losses.append((step, loss))
      if let share = json["open_density"]?.double, Self.canBeDrawn(share) {
        open.append((step, share))
      }
      for layer in json["layers"]?.members ?? [] {
        guard let share = (layer.value["open_density"] ?? layer.value["density"])?.double,
          Self.canBeDrawn(share)
        else { continue }
        let number = layerNumbers[layer.name] ?? layers.count
        if number == layers.count {
          layerNumbers[layer.name] = number
          layers.append((layer.name, []))
        }
        layers[number].shares.append((step, share))
      }
      for member in json.members ?? [] where !Self.known.contains(member.name) {
        if let score = member.value.double, Self.canBeDrawn(score) {
          scores[member.name, default: []].append((step, score))
        }
      }
    }
  }

  /// Whether differences of such numbers are finite, and whole ones exact.
  private static func canBeDrawn(_ number: Double) -> Bool { number.magnitude < 1e15 }

  private static let known: Set = [
    "step", "stage", "epoch", "loss", "rate", "norm", "lambda", "expected_density", "open_density",
    "traffic_bytes", "layers",
  ]

  /// The first and the last step.
  var steps: ClosedRange<Double> {
    let steps = losses.map(\.x)
    return (steps.min() ?? 0)...(steps.max() ?? 0)
  }

  /// The exponential moving average of the losses.
  var smoothLosses: [(x: Double, y: Double)] {
    var mean: Double?
    return losses.map { step, loss in
      let next = mean.map { 0.95 * $0 + 0.05 * loss } ?? loss
      mean = next
      return (step, next)
    }
  }
}

extension [(x: Double, y: Double)] {
  /// Returns at most `most` of the points, evenly spaced.
  func thinned(to most: Int = 400) -> Self {
    count <= most ? self : (0..<most).map { self[$0 * (count - 1) / (most - 1)] }
  }
}
