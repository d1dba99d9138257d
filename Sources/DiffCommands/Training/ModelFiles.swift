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

/// Where in a table the texts and the labels stand.
struct ColumnOptions: ParsableArguments {
  @Option(
    name: .customLong("text"),
    help: "The column of the text, by number or name; of pairs given twice.")
  var texts: [String] = []

  @Option(help: "The column of the label, by number or name. By default the last.")
  var label: String?
}
