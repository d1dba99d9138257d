import DiffTraining
import StrictJSON

/// Sentences on the task, the scores and the origin of a diff, from its metadata.
struct DiffHistory {
  /// The main score, if there is one.
  private(set) var score: String?
  private(set) var lines: [String] = []

  init(_ metadata: [String: String]) {
    if let facts = try? TaskFacts(metadata) {
      lines.append(Self.sentence(facts))
      if let value = metadata["score.\(facts.mainScore)"].flatMap({ Double($0) }) {
        score = "\(facts.mainScore) \(value.fixed(4))"
      }
    }
    let others = metadata.filter { $0.key.hasPrefix("score.") }.sorted { $0.key < $1.key }
      .compactMap { key, text in
        Double(text).map { "\(key.dropFirst("score.".count)) \($0.fixed(4))" }
      }
    if !others.isEmpty {
      lines.append("On dev rows: " + others.joined(separator: ", ") + ".")
    }
    if let trained = Self.trained(metadata) { lines.append(trained) }
    if let merged = Self.merged(metadata) { lines.append(merged) }
    for (name, what) in [("prune", "Pruned"), ("scale", "Scaled"), ("extract", "Extracted")]
    where metadata["diffkit.\(name).parent"] != nil {
      let detail = metadata["diffkit.\(name).selection"] ?? metadata["diffkit.\(name).factor"]
      lines.append(what + (detail.map { ": \($0)." } ?? " from another diff."))
    }
  }

  private static func sentence(_ facts: TaskFacts) -> String {
    let texts = facts.isPair == true ? "pairs of texts" : "texts"
    return switch facts.kind {
    case .classification(let labels):
      "Classifies \(texts) into \(labels.count) classes: \(labels.prefix(6).joined(separator: ", "))"
        + (labels.count > 6 ? ", …" : "") + "."
    case .regression: "Predicts a number for \(texts)."
    case .spans: "Finds answers to questions in contexts."
    }
  }

  private static func trained(_ metadata: [String: String]) -> String? {
    guard let text = metadata[TrainingJob.key],
      let job = try? TrainingJob(JSONValue(parsing: Array(text.utf8)), over: TrainingJob())
    else { return nil }
    let options = job.options
    var words = ["method \(options.method.rawValue)"]
    if options.method.hasDensity { words.append("density \(options.density.percent)") }
    words.append("seed \(options.seed)")
    let version = metadata[TrainingJob.versionKey].map { " by diffkit \($0)" } ?? ""
    let data = job.task.map { " on \($0)" } ?? ""
    return "Trained\(data)\(version): " + words.joined(separator: ", ") + "."
  }

  private static func merged(_ metadata: [String: String]) -> String? {
    let prefix = "diffkit.merge."
    guard let method = metadata[prefix + "method"] else { return nil }
    let all = metadata.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
    let parents = all.filter { $0.key.hasPrefix(prefix + "parent.") }.map { _, text in
      // Identity, weight, name of the file.
      let parts = text.split(separator: " ", maxSplits: 2).map { String($0) }
      let name = parts.count > 2 ? parts[2] : String((parts.first ?? "").prefix(8))
      return parts.count > 1 ? "\(name) (weight \(parts[1]))" : name
    }
    let rest = all.filter { !$0.key.hasPrefix(prefix + "parent.") && $0.key != prefix + "method" }
      .map { "\($0.key.dropFirst(prefix.count)) \($0.value)" }
    return "Merged by \(method) from \(parents.joined(separator: ", "))"
      + (rest.isEmpty ? "" : "; " + rest.joined(separator: ", ")) + "."
  }
}
