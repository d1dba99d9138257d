import Checkpoints
import DiffTraining
import SystemSupport
import TensorCore

extension TransformersConfiguration {
  /// Returns the path of the `config.json` of a checkpoint that is a folder; nil if there is none.
  static func path(of base: any Checkpoint) -> String? {
    guard let folder = base as? SafeTensorsFolder else { return nil }
    let path = ModelFiles.folder(of: folder.path) + "/config.json"
    return File.exists(path) ? path : nil
  }

  /// Reads the `config.json` of a folder and adapts it to the head of a task and the size of the
  /// vocabulary; nil if there is no such file, or neither changes.
  ///
  /// - Parameters:
  ///   - metadata: The metadata of the diff of the task.
  ///   - path: The path of the diff, for messages.
  ///   - vocabulary: The number of rows of the token table; nil if it is unchanged.
  init?(
    of base: any Checkpoint, for metadata: [String: String], path: String?, vocabulary: Int?
  ) throws(DiffError) {
    let isTask = metadata["task.kind"] != nil
    guard let source = Self.path(of: base), isTask || vocabulary != nil else { return nil }
    let facts = try isTask ? TaskFacts(metadata, path: path) : nil
    self = try File.parse(source, limit: 1 << 24) { bytes throws(DiffError) in
      try TransformersConfiguration(bytes, to: facts, vocabulary: vocabulary)
    }
  }
}

extension TensorName {
  /// True of the table of tokens in models of the BERT family.
  var isTokenTable: Bool { description.hasSuffix("word_embeddings.weight") }
}
