import DiffTraining
import StrictJSON
import SystemSupport
import TensorCore

/// A file with the metrics of every training step as lines of JSON.
final class MetricsFile {
  private let file: File
  private var offset: UInt64 = 0
  /// The lines of an earlier run, until the first step determines where this run begins.
  private var earlier: [ArraySlice<UInt8>] = []

  /// - Parameter resuming: Whether to keep the lines of finished steps, and to append to them.
  init(_ path: String, resuming: Bool, overwriting: Bool) throws(DiffError) {
    guard resuming || overwriting, let old = try? File(path, writable: true) else {
      do throws(DiffError) { file = try File(creating: path) } catch {
        throw error.code == .exists
          ? DiffError(.exists, "exists already", path: path, remedy: .overwrite) : error
      }
      return
    }
    file = old
    if resuming {
      earlier = try File.contents(of: path).split(separator: 0x0A)
    } else {
      try file.resize(to: 0)
    }
  }

  func write(_ progress: TrainingProgress) throws(DiffError) {
    if !earlier.isEmpty {
      offset = earlier.prefix(progress.step - 1).reduce(0) { $0 + UInt64($1.count) + 1 }
      try file.resize(to: offset)
      earlier = []
    }
    let bytes = Array((progress.json.compact + "\n").utf8)
    try file.write(bytes.span, at: offset)
    offset += UInt64(bytes.count)
  }
}

extension TrainingProgress {
  /// The metrics as a JSON object, whose numbers read back exactly.
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ name: String, _ value: Double?) {
      if let value { members.append(JSONValue.Member(name, .number("\(value)"))) }
    }
    func add(_ name: String, _ value: Int) {
      members.append(JSONValue.Member(name, .number("\(value)")))
    }
    add("step", step)
    members.append(JSONValue.Member("stage", .string(stage.rawValue)))
    add("epoch", epoch)
    add("loss", loss)
    add("rate", rate)
    add("norm", norm)
    add("lambda", lambda)
    add("expected_density", expectedDensity)
    add("open_density", openDensity)
    if let traffic { add("traffic_bytes", Int(clamping: traffic)) }
    if !shares.isEmpty { members.append(JSONValue.Member("layers", layers)) }
    for (name, value) in (scores ?? [:]).sorted(by: { $0.key < $1.key }) { add(name, value) }
    return .object(members)
  }

  /// The shares of parameters by layer, as `stats` has them: the share of the elements of a layer
  /// that are open, or the number and the share of those that are kept.
  private var layers: JSONValue {
    var layers: [DensityGrid.Section: LayerShare] = [:]
    for share in shares {
      layers[DensityGrid.section(of: share.name).section, default: LayerShare()].add(share)
    }
    return .object(
      layers.sorted { $0.key < $1.key }.map { JSONValue.Member($0.key.name, $0.value.json) })
  }
}

/// The sums of the parameters of a layer.
private struct LayerShare {
  private var elements = 0
  private var expected, open: Double?
  private var kept: Int?

  mutating func add(_ share: TrainingProgress.ParameterShare) {
    elements += share.elements
    if let more = share.expected { expected = (expected ?? 0) + more }
    if let more = share.open { open = (open ?? 0) + more }
    if let more = share.kept { kept = (kept ?? 0) + more }
  }

  var json: JSONValue {
    func share(_ name: String, _ count: Double?) -> JSONValue.Member? {
      count.map { JSONValue.Member(name, .number("\($0 / Double(max(1, elements)))")) }
    }
    let members = [
      share("expected_density", expected), share("open_density", open),
      kept.map { JSONValue.Member("kept", .number("\($0)")) },
      share("density", kept.map(Double.init)),
    ]
    return .object(members.compactMap(\.self))
  }
}
