import ArgumentParser
import DiffStore
import DiffTraining
import TensorCore

/// `diffkit evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Evaluate a base with a diff on a task.",
    discussion: """
      Computes accuracy, F1 and Matthews correlation for classes, correlations for numbers, and \
      exact match and F1 for answers. Without a diff, the base must have the task's head, whose \
      classes are those of a folder's config.json, or --labels.

        diffkit evaluate base.h5 task.diff --task dev.tsv --json
        diffkit evaluate --store tasks sms --task dev.tsv
      """)

  @Argument(
    help: "The base checkpoint; with --store, the version to evaluate.", completion: .file())
  var base: String
  @Argument(help: "The diff of the task.", completion: .file()) var diff: String?
  @Option(help: "The rows to evaluate on.", completion: .file()) var task: String
  @Option(
    help: "A store, or its address, one of whose versions was added as the diff of a task.",
    completion: .directory)
  var store: String?
  @OptionGroup var network: NetworkOptions
  @OptionGroup var labels: LabelsOption
  @OptionGroup var columns: ColumnOptions
  @OptionGroup var files: ModelFiles
  @OptionGroup var calculation: CalculationOptions
  @Flag(help: "Allow a base other than the diff's.") var allowOtherBase = false
  @OptionGroup var json: JSONOption
  @Flag(name: .shortAndLong, help: "Print the scores and errors only.") var quiet = false

  func validate() throws {
    guard store == nil || diff == nil else {
      throw ValidationError("--store takes the name of a version and no diff")
    }
    try labels.check(store == nil ? diff : base)
  }

  func run() throws {
    try Engine.requireAvailable()
    let tuned: TunedModel
    if let store {
      tuned = try StoreTarget(store, network).with { store in
        try TunedModel(base, of: store, files: files, calculation: calculation)
      }
    } else {
      let kind = try diff == nil ? kind() : nil
      tuned = try TunedModel(
        base, diff: diff, files: files, calculation: calculation, allowsOtherBase: allowOtherBase,
        kind: kind)
    }
    let data = try TaskSet(
      task, columns.table(tuned.facts.columns), kind: tuned.facts.kind, tuned.tokenizer,
      maxLength: tuned.facts.maxLength)
    let notes = tuned.notes + data.notes(task, maxLength: tuned.facts.maxLength)
    if !quiet { notes.forEach(StandardError.say) }
    try tuned.facts.check(data, path: task)
    let predictions = try tuned.model.predictions(of: data.examples, at: tuned.values)
    let scores = data.scores(predictions, tuned.facts)
    try EvaluationReport(
      examples: data.count, scores: scores,
      confusion: data.confusion(predictions, tuned.facts), labels: tuned.facts.labels, notes: notes
    ).print(json: json.json)
  }

  /// Returns the kind of task of the base's own head: as specified, as in the folder's config.json,
  /// or as the data have it, unless its classes could be in any order.
  private func kind() throws -> TaskDescription.Kind {
    if let kind = labels.kind { return kind }
    if let kind = try files.kind(of: base), !kind.isUnnamed { return kind }
    if let name = try files.otherHead(of: base) {
      throw DiffError(
        .usage,
        "is a \(name), whose head may not be one of diffkit's: give the diff of a task, or for a head "
          + "of one product --labels, the classes in the order of its outputs", path: base)
    }
    let table = columns.table(try files.settings(of: base).columns)
    if task.hasSuffix(".json"), table.format == nil { return .spans }
    let kind = try TaskData(table: task, table).description.kind
    if case .classification(let labels) = kind,
      !labels.indices.allSatisfy({ labels[$0] == "\($0)" })
    {
      throw DiffError(
        .usage,
        "names no classes: give them with --labels in the order of the head's outputs; the rows have "
          + labels.prefix(6).joined(separator: ",") + (labels.count > 6 ? ",..." : ""), path: base)
    }
    return kind
  }
}

/// The option that names the classes of a checkpoint with a head, if there is no diff.
struct LabelsOption: ParsableArguments {
  @Option(
    name: .customLong("labels"),
    help: ArgumentHelp(
      "For a checkpoint with a head, without a diff: its classes in the order of its outputs, "
        + "separated by commas; of a folder by default those of its config.json.",
      valueName: "a,b,c"))
  var list: String?

  /// The kind of task with the specified classes; nil without the option.
  var kind: TaskDescription.Kind? {
    list.map {
      .classification(
        labels: $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
    }
  }

  func check(_ diff: String?) throws {
    guard list == nil || diff == nil else {
      throw ValidationError("a diff names its labels; --labels is for checkpoints without a diff")
    }
    guard case .classification(let labels) = kind else { return }
    guard labels.count > 1, Set(labels).count == labels.count, !labels.contains("") else {
      throw ValidationError("--labels must be different names separated by commas")
    }
  }
}

/// Scores on a task. In JSON, each is a member with the name of the score.
struct EvaluationReport: CommandOutput {
  let examples: Int
  let scores: [String: Double]
  /// The confusion matrix, for classes.
  var confusion: Confusion?
  var labels: [String] = []
  /// Notes for the user, which standard error has.
  var notes: [String] = []

  var text: String {
    var out = fieldLines(
      [("examples", UInt64(examples).grouped)]
        + scores.sorted { $0.key < $1.key }.map { name, value in
          let isOfSecond = name == "f1" && labels.count == 2
          return (isOfSecond ? "f1 of '\(labels[1])'" : name, value.fixed(4))
        })
    guard let confusion else { return out }
    var table = TextTable(
      ["class", "rows", "precision", "recall", "f1"], rightAligned: [1, 2, 3, 4])
    for (one, label) in labels.enumerated() {
      let scores = ClassScores(label, one, confusion)
      let numbers = [scores.precision, scores.recall, scores.f1]
      table.add([label, UInt64(scores.rows).grouped] + numbers.map { $0?.fixed(4) ?? "–" })
    }
    out += "\n" + table.text
    guard labels.count <= Self.mostShown else { return out }
    var matrix = TextTable(
      ["class, and predicted as"] + labels, rightAligned: Set(1...labels.count))
    for (one, label) in labels.enumerated() {
      matrix.add(
        [label]
          + labels.indices.map { UInt64(confusion.count(truth: one, prediction: $0)).grouped })
    }
    return out + "\n" + matrix.text
  }

  /// The most classes for which the text has the matrix; JSON always has it.
  private static let mostShown = 20

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Name.self)
    try container.encode(examples, forKey: Name("examples"))
    for (name, value) in scores { try container.encode(value, forKey: Name(name)) }
    try container.encode(notes, forKey: Name("notes"))
    guard let confusion else { return }
    try container.encode(
      labels.indices.map { ClassScores(labels[$0], $0, confusion) }, forKey: Name("classes"))
    try container.encode(
      labels.indices.map { truth in
        labels.indices.map { confusion.count(truth: truth, prediction: $0) }
      }, forKey: Name("confusion"))
  }

  private struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}

/// The scores of a class; nil where they are undefined, since it neither occurs nor is predicted.
private struct ClassScores: Encodable {
  let label: String
  let rows: Int
  let precision, recall, f1: Double?

  init(_ label: String, _ one: Int, _ confusion: Confusion) {
    self.label = label
    rows = confusion.truths(of: one)
    precision = confusion.precision(of: one)
    recall = confusion.recall(of: one)
    f1 = precision == nil && recall == nil ? nil : confusion.f1(of: one)
  }

  private enum CodingKeys: CodingKey { case label, rows, precision, recall, f1 }

  // An undefined score is null, where the derived function would leave it out.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(label, forKey: .label)
    try container.encode(rows, forKey: .rows)
    try container.encode(precision, forKey: .precision)
    try container.encode(recall, forKey: .recall)
    try container.encode(f1, forKey: .f1)
  }
}
