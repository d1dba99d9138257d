import ArgumentParser
import DiffFormat
import DiffTraining
import Platform
import StrictJSON
import SystemSupport
import TensorCore

/// The prediction of a model for a text.
struct Prediction {
  let row: TaskRow
  /// The values of the columns of the row that are kept.
  var kept: [JSONValue] = []
  /// The predicted class and the probability of each class, if the task has classes.
  var label: String?
  var probabilities: [Double] = []
  /// The predicted number, if the task is a regression.
  var value: Double?
  /// The answer, a part of the context, if the task has questions; empty if there is no answer.
  var answer: String?

  init(_ row: TaskRow, answer: String) {
    self.row = row
    self.answer = answer
  }

  init(_ row: TaskRow, _ outputs: [Float], _ facts: TaskFacts) {
    self.row = row
    guard case .classification(let labels) = facts.kind else {
      value = outputs.first.map(Double.init)
      return
    }
    let chosen = TaskFacts.chosenClass(outputs)
    label = labels.indices.contains(chosen) ? labels[chosen] : nil
    let most = Double(outputs.max() ?? 0)
    let shares = outputs.map { exp(Double($0) - most) }
    let sum = shares.reduce(0, +)
    probabilities = shares.map { $0 / sum }
  }

  /// The texts as a line.
  var text: String { row.first + (row.second.map { "\t" + $0 } ?? "") }

  /// The highest probability.
  var probability: Double? { probabilities.max() }

  /// The class, the answer or the number as text.
  var said: String { label ?? answer ?? value?.fixed(4) ?? "" }
}

/// A format of predictions.
enum PredictionFormat: String, ExpressibleByArgument, CaseIterable {
  /// The prediction, a tab, the text.
  case text
  case tsv
  case csv
  case jsonl

  /// Creates the format that the suffix of a file stands for; nil if there is none.
  init?(suffixOf path: String) {
    switch TableFormat(suffixOf: path) {
    case .tsv: self = .tsv
    case .csv: self = .csv
    case .jsonl: self = .jsonl
    case nil, .quotedTSV, .lines: return nil
    }
  }

  /// Returns whether a file has the suffix of a format that predictions are not written in.
  static func isForeign(_ path: String) -> Bool {
    let path = path.lowercased()
    return [".json", ".xls", ".xlsx", ".ods", ".parquet", ".feather", ".arrow", ".gz", ".zip"]
      .contains { path.hasSuffix($0) }
  }
}

/// Writes predictions as they come, to standard output or to a file that appears when it is
/// complete.
final class PredictionWriter {
  private let format: PredictionFormat
  private let facts: TaskFacts
  /// The names of the columns that are kept, and those that they have beside the prediction.
  private let columns, keptNames: [String]
  private let output: String?
  private let sink: FileSink?
  private let isJSON: Bool
  private var all: [Prediction] = []
  private var count = 0
  private var text = ""

  /// - Parameter keeping: The names of the columns that are kept, which come first.
  init(
    to output: String?, as format: PredictionFormat, of facts: TaskFacts, keeping: [String],
    force: Bool, isJSON: Bool
  ) throws(DiffError) {
    self.output = output == "-" ? nil : output
    self.format = format
    self.facts = facts
    self.isJSON = isJSON
    columns = keeping
    var used = Self.members.union(Self.header(facts))
    keptNames = keeping.map { name in
      var name = name
      while !used.insert(name).inserted { name = "input " + name }
      return name
    }
    sink = try self.output.map { path throws(DiffError) in
      try FileSink(path, overwriting: force)
    }
    switch format {
    case .csv, .tsv: text = line(keptNames + Self.header(facts))
    case .text, .jsonl: break
    }
  }

  /// Buffers a prediction; `flush` writes it.
  func write(_ prediction: Prediction) {
    count += 1
    if isJSON { return all.append(prediction) }
    switch format {
    case .text:
      let fields = prediction.kept.map(\.field) + [prediction.said, prediction.text]
      text += fields.joined(separator: "\t").escapingControls(but: "\t") + "\n"
    case .jsonl: text += prediction.json(facts.labels, keptNames).compact + "\n"
    case .csv, .tsv:
      var fields = prediction.kept.map(\.field) + [prediction.said]
      if let most = prediction.probability {
        fields += ([most] + prediction.probabilities).map { $0.fixed(6) }
      }
      fields.append(prediction.row.first)
      if let second = prediction.row.second { fields.append(second) }
      text += line(fields)
    }
  }

  func flush() throws(DiffError) {
    guard !text.isEmpty else { return }
    if let sink {
      try sink.write(Array(text.utf8).span)
    } else {
      try StandardOutput.write(text)
    }
    text = ""
  }

  /// - Parameter notes: Notes for the user, which standard error has.
  func finish(_ report: ReportOptions, notes: [String]) throws {
    try flush()
    if isJSON {
      return try PredictionReport(
        predictions: all, labels: facts.labels, columns: columns, notes: notes
      ).print(json: true)
    }
    guard let output, let sink else { return }
    try sink.commit()
    try report.quiet.say("\(output): \(count.counted("prediction"))")
  }

  /// The columns of CSV and TSV after those that are kept, and the members of JSON Lines.
  private static let members: Set = [
    "label", "probability", "probabilities", "value", "answer", "text", "text2",
  ]
  private static func header(_ facts: TaskFacts) -> [String] {
    let texts = facts.isPair == true ? ["text1", "text2"] : ["text"]
    return switch facts.kind {
    case .classification(let labels):
      ["label", "probability"] + labels.map { "probability of \($0)" } + texts
    case .regression: ["value"] + texts
    case .spans: ["answer", "question", "context"]
    }
  }

  /// Returns fields as a row of the format, in quotes where necessary.
  private func line(_ fields: [String]) -> String {
    let separator: Unicode.Scalar = format == .csv ? "," : "\t"
    return fields.map { field in
      guard
        field.unicodeScalars.contains(where: {
          $0 == separator || $0 == "\"" || $0 == "\n" || $0 == "\r"
        })
      else { return field }
      let parts = field.unicodeScalars.split(separator: "\"", omittingEmptySubsequences: false)
      return "\"" + parts.map { String($0) }.joined(separator: "\"\"") + "\""
    }.joined(separator: String(separator)) + "\n"
  }
}

extension Prediction {
  /// Returns the prediction as a JSON object.
  fileprivate func json(_ labels: [String], _ keptNames: [String]) -> JSONValue {
    var members = zip(keptNames, kept).map { JSONValue.Member($0, $1) }
    func add(_ name: String, _ value: JSONValue?) {
      if let value { members.append(JSONValue.Member(name, value)) }
    }
    func number(_ value: Double) -> JSONValue {
      value.isFinite ? .number("\(value)") : .string("\(value)")
    }
    add("label", label.map { .string($0) })
    add("probability", probability.map(number))
    if !probabilities.isEmpty {
      add(
        "probabilities",
        .object(zip(labels, probabilities).map { JSONValue.Member($0, number($1)) }))
    }
    add("value", value.map(number))
    add("answer", answer.map { .string($0) })
    add("text", .string(row.first))
    add("text2", row.second.map { .string($0) })
    return .object(members)
  }
}

extension JSONValue {
  /// The value as a field of a table.
  fileprivate var field: String { self == .null ? "" : text ?? compact }
}

/// Predictions as one JSON object.
private struct PredictionReport: CommandOutput {
  let predictions: [Entry]
  /// Notes for the user, which standard error has.
  let notes: [String]

  struct Entry: Encodable {
    let text: String
    let label: String?
    let probability: Double?
    let probabilities: [String: Double]?
    let value: Double?
    let answer: String?
    let kept: [String: String]?
  }

  init(predictions: [Prediction], labels: [String], columns: [String], notes: [String]) {
    self.notes = notes
    self.predictions = predictions.map { one in
      Entry(
        text: one.text, label: one.label, probability: one.probability,
        probabilities: one.probabilities.isEmpty
          ? nil
          : Dictionary(zip(labels, one.probabilities), uniquingKeysWith: { first, _ in first }),
        value: one.value, answer: one.answer,
        kept: columns.isEmpty
          ? nil
          : Dictionary(
            zip(columns, one.kept.map(\.field)), uniquingKeysWith: { first, _ in first }))
    }
  }

  var text: String { "" }
}
