import ArgumentParser
import DiffTraining

/// `diffkit evaluate`.
struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Tell what a base and a diff together are worth on a task.",
    discussion: """
      Accuracy, F1 and Matthews correlation of classes; correlations of numbers; exact match and \
      F1 of answers. Without a diff the base must have the task's head.

        diffkit evaluate base.h5 task.diff --task dev.tsv --json
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(help: "The diff of the task.", completion: .file()) var diff: String?
  @Option(help: "The rows to evaluate on.", completion: .file()) var task: String
  @OptionGroup var columns: ColumnOptions
  @OptionGroup var files: ModelFiles
  @OptionGroup var precision: PrecisionOption
  @Flag(help: "Allow another base than the diff's.") var allowOtherBase = false
  @OptionGroup var json: JSONOption

  func run() throws {
    try Engine.requireAvailable()
    var job = TrainingJob()
    job.texts = columns.texts
    job.label = columns.label
    // Without a diff, the data say what is asked.
    let kind = try diff == nil ? Self.kind(of: task, job.table) : nil
    let tuned = try TunedModel(
      base, diff: diff, files: files, precision: precision, allowsOtherBase: allowOtherBase,
      kind: kind)
    let data = try TaskSet(
      task, job.table, kind: tuned.facts.kind, tuned.tokenizer,
      maxLength: tuned.facts.maxLength)
    try tuned.facts.check(data, path: task)
    let predictions = try tuned.model.predictions(of: data.examples, at: tuned.values)
    let scores = data.scores(predictions, tuned.facts)
    try EvaluationReport(examples: data.count, scores: scores).print(json: json.json)
  }

  private static func kind(
    of task: String, _ table: TableOptions
  ) throws -> TaskDescription.Kind {
    task.hasSuffix(".json") ? .spans : try TaskData(table: task, table).description.kind
  }
}

/// Scores on a task. In JSON, each stands under its name.
struct EvaluationReport: CommandOutput {
  let examples: Int
  let scores: [String: Double]

  var text: String {
    facts(
      [("examples", UInt64(examples).grouped)]
        + scores.sorted { $0.key < $1.key }.map { ($0.key, $0.value.fixed(4)) })
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Name.self)
    try container.encode(examples, forKey: Name("examples"))
    for (name, value) in scores { try container.encode(value, forKey: Name(name)) }
  }

  private struct Name: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(_ name: String) { stringValue = name }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}
