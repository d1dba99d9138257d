import ArgumentParser
import DiffFormat
import DiffTraining
import Platform
import RemoteFiles
import StrictJSON
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
        diffkit predict base.h5 task.diff --input new.csv --text review -o out.csv
        diffkit predict base.h5 task.diff --input new.csv --keep id,shop -o out.csv
        diffkit predict tuned.h5 --labels ham,spam --input texts.txt --format jsonl
        diffkit predict tuned/ "Free entry in a weekly draw!"
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @Argument(
    help:
      """
      The diff of the task, unless the base has a head and its classes are in its config.json or \
      in --labels; then texts. Without texts, lines are read.
      """,
    completion: .file())
  var words: [String] = []
  @Option(
    help: "A table or a file of lines; '-', the default, is standard input.", completion: .file())
  var input: String?
  @Option(
    help: ArgumentHelp(
      "Columns of the table to write beside the prediction, by name or number, separated by commas.",
      valueName: "a,b"))
  var keep: [String] = []
  @Flag(help: "Write all columns of the table beside the prediction.") var keepAll = false
  @OptionGroup var outputs: OutputOptions
  @Option(help: "text, tsv, csv or jsonl; by default by the suffix of the output, or text.")
  var format: PredictionFormat?
  @OptionGroup var labels: LabelsOption
  @OptionGroup var columns: ColumnOptions
  @OptionGroup var files: ModelFiles
  @OptionGroup var calculation: CalculationOptions
  @Flag(help: "Allow a base other than the diff's.") var allowOtherBase = false
  @OptionGroup var report: ReportOptions

  func validate() throws {
    try labels.check(nil)
    guard words.count < (labels.list == nil ? 2 : 1) || input == nil else {
      throw ValidationError("texts and --input exclude each other")
    }
    guard !keep.contains(where: { $0.allSatisfy { $0 == "," || $0 == " " } }) else {
      throw ValidationError("--keep takes the names or numbers of columns")
    }
    guard keep.isEmpty || !keepAll else {
      throw ValidationError("--keep and --keep-all exclude each other")
    }
    if let output = outputs.output, format == nil, PredictionFormat.isForeign(output) {
      throw ValidationError(
        "'\(output)' has the suffix of a format that is not written: use .csv, .tsv or .jsonl, or "
          + "give --format")
    }
    guard !report.json.json || format == nil && outputs.output == nil else {
      throw ValidationError("--json prints to standard output only; give --format jsonl")
    }
  }

  func run() throws {
    try Engine.requireAvailable()
    // A folder may name the classes of its own head; what is the diff is seen from the first word.
    let isDiffNamed = words.first.map { $0.hasSuffix(".diff") || File.exists($0) } ?? false
    let kind = try labels.kind ?? (isDiffNamed ? nil : files.kind(of: base))
    let diff = kind == nil ? words.first : nil
    if let diff, !isDiffNamed, diff != "-", RemoteAddress(diff) == nil {
      throw DiffError(
        .notFound,
        "is no file; give the diff of the task before a text, or the classes of the base's own head "
          + "with --labels", path: diff)
    }
    let texts = words.dropFirst(diff == nil ? 0 : 1)
    guard texts.isEmpty || input == nil && keep.isEmpty && !keepAll else {
      throw ValidationError("texts exclude --input, --keep and --keep-all")
    }
    if let output = outputs.output, output != "-" {
      try check(output: output, isNoneOf: [base, diff, input].compactMap { $0 })
      try outputs.checkOutput(output)
    }
    let tuned = try TunedModel(
      base, diff: diff, files: files, calculation: calculation, allowsOtherBase: allowOtherBase,
      kind: kind)
    var rows = try rows(texts, tuned.facts)
    let writer = try PredictionWriter(
      to: outputs.output,
      as: format ?? outputs.output.flatMap(PredictionFormat.init(suffixOf:)) ?? .text,
      of: tuned.facts, keeping: rows.keptNames, force: outputs.force, isJSON: report.json.json)
    func say(_ notes: [String]) { if !report.quiet.quiet { notes.forEach(StandardError.say) } }
    say(tuned.notes + rows.notes)
    var cut = 0
    try tuned.model.engine.fixing(tuned.values) { () throws(DiffError) in
      var batch: [Row] = []
      while let first = try rows.next(waiting: true) {
        batch.append(first)
        // The rows that are available now, so that lines from a pipe are answered at once.
        while batch.count < Self.mostAtOnce, let next = try rows.next(waiting: false) {
          batch.append(next)
        }
        let (predictions, truncated) = try tuned.predictions(for: batch.map(\.texts))
        cut += truncated
        for (row, prediction) in zip(batch, predictions) {
          var prediction = prediction
          prediction.kept = row.kept
          writer.write(prediction)
        }
        try writer.flush()
        batch.removeAll(keepingCapacity: true)
      }
    }
    let note = TaskSet.notes(cut: cut, to: tuned.facts.maxLength)
    say(note)
    try writer.finish(report, notes: tuned.notes + rows.notes + note)
  }

  /// The maximum number of rows that are computed together, sorted by length.
  private static let mostAtOnce = 4096

  /// Returns the texts of the command line, or a reader of the input.
  private func rows(_ texts: ArraySlice<String>, _ facts: TaskFacts) throws -> Rows {
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
    var options = columns.table(facts.columns)
    options.kept = keepAll ? .all : keep.isEmpty ? .none : .columns(keep)
    guard let input, input != "-" else {
      return Rows(reader: try TextReader.standardInput(facts, options))
    }
    let reader = try TextReader(input, facts, options)
    return Rows(
      reader: reader, notes: reader.summary.isEmpty ? [] : ["\(input): \(reader.summary)"])
  }

  /// A row to predict, with the values of the columns that are kept.
  private struct Row {
    let texts: TaskRow
    let kept: [JSONValue]
  }

  /// The rows to predict: texts of the command line, or those of a reader.
  private struct Rows {
    private var words: ArraySlice<TaskRow> = []
    private var reader: TextReader?
    /// Notes for the user.
    var notes: [String] = []
    var keptNames: [String] { reader?.keptNames ?? [] }

    init(words: [TaskRow]) { self.words = words[...] }
    init(reader: TextReader, notes: [String] = []) { (self.reader, self.notes) = (reader, notes) }

    mutating func next(waiting: Bool) throws(DiffError) -> Row? {
      let texts = try reader == nil ? words.popFirst() : reader?.next(waiting: waiting)
      return texts.map { Row(texts: $0, kept: reader?.kept ?? []) }
    }
  }
}

extension TunedModel {
  /// Returns the predictions for rows, and the number of texts that are cut.
  func predictions(
    for rows: [TaskRow]
  ) throws(DiffError) -> (predictions: [Prediction], truncated: Int) {
    if facts.kind == .spans {
      let asked = rows.map { (question: $0.first, context: $0.second ?? "") }
      let data = TaskSet(Questions(asking: asked), tokenizer, maxLength: facts.maxLength)
      let outputs = try model.predictions(of: data.examples, at: values)
      let answers = data.answers(outputs, mayBeNone: true)
      return (zip(rows, answers).map { Prediction($0, answer: $1) }, 0)
    }
    let (examples, truncated) = rows.examples(tokenizer, maxLength: facts.maxLength)
    let outputs = try model.predictions(of: examples, at: values)
    return (zip(rows, outputs).map { Prediction($0, $1, facts) }, truncated)
  }
}
