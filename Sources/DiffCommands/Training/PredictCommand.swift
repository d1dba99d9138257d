import ArgumentParser
import DiffFormat
import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// `diffkit predict`.
struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict",
    abstract: "Predict the labels of texts with a base and a diff.",
    discussion: """
      Texts are arguments, the rows of a table (.csv, .tsv, .jsonl), or the lines of another file \
      or of standard input. The two texts of a pair, or a question and its context, are separated \
      by a tab. Lines from a pipe are answered as they arrive.

        diffkit predict base.h5 task.diff "Free entry in a weekly draw!"
        diffkit predict base.h5 task.diff --input new.csv --text review -o predictions.csv
        diffkit predict tuned.h5 --labels ham,spam --input texts.txt --format jsonl
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(
    help:
      "The diff of the task, unless --labels is given; then texts. Without texts, lines are read.",
    completion: .file())
  var words: [String] = []
  @Option(
    help: "A table or a file of lines; '-', the default, is standard input.", completion: .file())
  var input: String?
  @OptionGroup var outputs: OutputOptions
  @Option(help: "text, tsv, csv or jsonl; by default by the suffix of the output, or text.")
  var format: PredictionFormat?
  @OptionGroup var labels: LabelsOption
  @OptionGroup var columns: ColumnOptions
  @OptionGroup var files: ModelFiles
  @OptionGroup var calculation: CalculationOptions
  @Flag(help: "Allow a base other than the diff's.") var allowOtherBase = false
  @OptionGroup var report: ReportOptions

  private var diff: String? { labels.list == nil ? words.first : nil }
  private var texts: ArraySlice<String> { words.dropFirst(labels.list == nil ? 1 : 0) }

  func validate() throws {
    try labels.check(nil)
    guard labels.list != nil || !words.isEmpty else {
      throw ValidationError("give the diff of the task, or the --labels of the checkpoint")
    }
    guard texts.isEmpty || input == nil else {
      throw ValidationError("texts and --input exclude each other")
    }
    guard !report.json.json || format == nil && outputs.output == nil else {
      throw ValidationError("--json prints to standard output only; give --format jsonl")
    }
  }

  func run() throws {
    try Engine.requireAvailable()
    let tuned = try TunedModel(
      base, diff: diff, files: files, calculation: calculation, allowsOtherBase: allowOtherBase,
      kind: labels.kind)
    if let output = outputs.output, output != "-" {
      try check(output: output, isNoneOf: [base, diff, input].compactMap { $0 })
    }
    let writer = try PredictionWriter(
      to: outputs.output,
      as: format ?? outputs.output.flatMap(PredictionFormat.init(suffixOf:)) ?? .text,
      of: tuned.facts, force: outputs.force, isJSON: report.json.json)
    var rows = try rows(tuned.facts)
    try tuned.model.engine.fixing(tuned.values) { () throws(DiffError) in
      var batch: [TaskRow] = []
      while let first = try rows.next(waiting: true) {
        batch.append(first)
        // The rows that are available now, so that lines from a pipe are answered at once.
        while batch.count < Self.mostAtOnce, let next = try rows.next(waiting: false) {
          batch.append(next)
        }
        for prediction in try tuned.predictions(for: batch) { writer.write(prediction) }
        try writer.flush()
        batch.removeAll(keepingCapacity: true)
      }
    }
    try writer.finish(report)
  }

  /// The maximum number of rows that are computed together, sorted by length.
  private static let mostAtOnce = 4096

  private func rows(_ facts: TaskFacts) throws -> Rows {
    if !texts.isEmpty {
      return Rows(
        words: try texts.enumerated().map { number, text in
          let row = TaskRow(line: text, facts)
          guard row.second != nil || facts.isPair != true else {
            throw DiffError(
              .usage, "text \(number + 1) has no tab; give two texts, separated by a tab")
          }
          return row
        })
    }
    let options = columns.table(trainedAs: diff)
    guard let input, input != "-" else {
      return Rows(reader: try TextReader.standardInput(facts, options))
    }
    let reader = try TextReader(input, facts, options)
    if !reader.summary.isEmpty && !report.quiet.quiet {
      StandardError.write("\(input): \(reader.summary)".escapingControls + "\n")
    }
    return Rows(reader: reader)
  }

  /// The rows to predict: texts of the command line, or those of a reader.
  private struct Rows {
    var words: ArraySlice<TaskRow> = []
    var reader: TextReader?

    init(words: [TaskRow]) { self.words = words[...] }
    init(reader: TextReader) { self.reader = reader }

    mutating func next(waiting: Bool) throws(DiffError) -> TaskRow? {
      reader == nil ? words.popFirst() : try reader?.next(waiting: waiting)
    }
  }
}

extension TunedModel {
  /// Returns the predictions for rows.
  func predictions(for rows: [TaskRow]) throws(DiffError) -> [Prediction] {
    if facts.kind == .spans {
      let asked = rows.map { (question: $0.first, context: $0.second ?? "") }
      let data = TaskSet(Questions(asking: asked), tokenizer, maxLength: facts.maxLength)
      let outputs = try model.predictions(of: data.examples, at: values)
      return zip(rows, data.answers(outputs, mayBeNone: true)).map { Prediction($0, answer: $1) }
    }
    let (examples, _) = rows.examples(tokenizer, maxLength: facts.maxLength)
    let outputs = try model.predictions(of: examples, at: values)
    return zip(rows, outputs).map { Prediction($0, $1, facts) }
  }
}
