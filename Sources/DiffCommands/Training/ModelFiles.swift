import ArgumentParser
import Checkpoints
import DiffTraining
import SystemSupport
import TensorCore

/// The options that name a model's configuration and vocabulary.
struct ModelFiles: ParsableArguments {
  @Option(
    help: "The model's config.json; by default the one beside the checkpoint.",
    completion: .file())
  var config: String?

  @Option(
    help: "vocab.txt or vocab.json; by default the one beside the checkpoint.",
    completion: .file())
  var vocab: String?

  /// Reads the configuration of the model of a checkpoint.
  func configuration(beside checkpoint: String) throws -> EncoderConfiguration {
    try EncoderConfiguration(contentsOf: config ?? Self.folder(of: checkpoint) + "/config.json")
  }

  /// Returns the kind of task that the head of a folder's checkpoint is for; nil if `config.json`
  /// specifies none.
  func kind(of checkpoint: String) throws(DiffError) -> TaskDescription.Kind? {
    guard let path = headConfiguration(of: checkpoint) else { return nil }
    return try TaskDescription.Kind(configuration: path)
  }

  /// Returns the settings of the head of a folder's checkpoint.
  func settings(of checkpoint: String) throws(DiffError) -> HeadSettings {
    guard let path = headConfiguration(of: checkpoint) else { return HeadSettings() }
    return try HeadSettings(configuration: path)
  }

  /// Returns the class that the `config.json` of a folder's checkpoint names for a head that diffkit
  /// does not have; nil if there is none.
  func otherHead(of checkpoint: String) throws(DiffError) -> String? {
    guard let path = headConfiguration(of: checkpoint) else { return nil }
    return try TransformersConfiguration.otherHead(configuration: path)
  }

  /// The `config.json` that describes the head of a folder's checkpoint; nil for a file, which may
  /// have another head than its folder's.
  private func headConfiguration(of checkpoint: String) -> String? {
    Folder.exists(checkpoint) ? config ?? checkpoint + "/config.json" : nil
  }

  /// Opens the tokenizer of the model of a checkpoint.
  func tokenizer(beside checkpoint: String) throws(DiffError) -> any Tokenizer {
    try TokenizerFiles.open(vocab ?? Self.folder(of: checkpoint))
  }

  /// Returns the files of the model that are beside a checkpoint in a single file: the configuration and
  /// the tokenizer; none without a configuration of a model.
  static func beside(_ checkpoint: any Checkpoint) -> [String] {
    guard checkpoint.files == [checkpoint.path] else { return [] }
    let folder = folder(of: checkpoint.path)
    guard (try? EncoderConfiguration(contentsOf: folder + "/config.json")) != nil else { return [] }
    return TokenizerFiles.names.map { "\(folder)/\($0)" }.filter { File.isRegular($0) }
      + ["\(folder)/config.json"]
  }

  static func folder(of checkpoint: String) -> String {
    Folder.exists(checkpoint) ? checkpoint : OutputFile.split(checkpoint).folder
  }
}

/// Options for reading a table of texts and labels.
struct ColumnOptions: ParsableArguments {
  @Option(
    name: .customLong("text"),
    help: """
      The column of the text, by number or name; give it twice for pairs of texts. By default the \
      column with that name.
      """)
  var texts: [String] = []

  @Option(
    help: """
      The column of the label, by number or name. By default the column with that name, or the last.
      """)
  var label: String?

  @Option(
    help: "The format of the rows: tsv, tsv-quoted, csv, jsonl or lines; by default by file name.")
  var inputFormat: TableFormat?

  @Flag(inversion: .prefixedNo, help: "Whether line 1 names the columns; detected by default.")
  var header: Bool?

  /// Returns the options for a table to evaluate or to predict. Columns that are not specified may
  /// have the names of those that the task was trained on.
  func table(_ trained: TaskColumns) -> TableOptions {
    var job = TrainingJob()
    job.take(self)
    var options = job.table
    options.usual = trained
    return options
  }
}

extension TableFormat: ExpressibleByArgument {}
