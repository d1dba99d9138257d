import ArgumentParser
import Checkpoints
import DiffTraining
import SystemSupport
import TensorCore

/// Where a model's configuration and vocabulary are.
struct ModelFiles: ParsableArguments {
  @Option(
    help: "The model's config.json; by default the one beside the checkpoint.",
    completion: .file())
  var config: String?

  @Option(
    help: "vocab.txt or vocab.json; by default the one beside the checkpoint.",
    completion: .file())
  var vocab: String?

  /// The configuration of the model of a checkpoint.
  func configuration(beside checkpoint: String) throws -> EncoderConfiguration {
    try EncoderConfiguration(contentsOf: config ?? Self.folder(of: checkpoint) + "/config.json")
  }

  /// The tokenizer of the model of a checkpoint.
  func tokenizer(beside checkpoint: String) throws(DiffError) -> any Tokenizer {
    try TokenizerFiles.open(vocab ?? Self.folder(of: checkpoint))
  }

  private static func folder(of checkpoint: String) -> String {
    Folder.exists(checkpoint) ? checkpoint : OutputFile.split(checkpoint).folder
  }
}

/// How a table of texts and labels is read.
struct ColumnOptions: ParsableArguments {
  @Option(
    name: .customLong("text"),
    help: """
      The column of the text, by number or name; of pairs given twice. By default the one that the \
      header calls so.
      """)
  var texts: [String] = []

  @Option(
    help: """
      The column of the label, by number or name. By default the one that the header calls so, or \
      the last.
      """)
  var label: String?

  @Option(help: "How rows are written: tsv, tsv-quoted, csv, jsonl or lines (by the file's name).")
  var inputFormat: TableFormat?

  @Flag(inversion: .prefixedNo, help: "Whether line 1 names the columns; by default found out.")
  var header: Bool?

  /// The options for a table to be evaluated or predicted; columns that are not named may have the
  /// names of those that a diff was trained on.
  func table(trainedAs diff: String? = nil) -> TableOptions {
    var job = TrainingJob()
    job.take(self)
    var options = job.table
    if texts.isEmpty, let diff, let trained = try? TrainingJob(repeating: diff) {
      options.usual = (trained.texts.filter { Int($0) == nil }, trained.label)
    }
    return options
  }
}

extension TableFormat: ExpressibleByArgument {}
