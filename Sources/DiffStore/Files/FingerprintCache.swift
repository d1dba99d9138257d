import Checkpoints
import DiffOperations
import StrictJSON
import SystemSupport
import TensorCore

/// A file beside a checkpoint that keeps the fingerprints of its tensors, with the stamps of its
/// files, so that they are computed once.
struct FingerprintCache {
  /// The suffix of the file's name, after the name of the checkpoint.
  static let suffix = ".diffkit-fingerprints"

  private let checkpoint: any Checkpoint
  private let path: String

  init(_ checkpoint: any Checkpoint) {
    self.checkpoint = checkpoint
    var path = File.withoutFinalSlashes(checkpoint.path)
    // The path of an index of shards stands for its folder.
    if checkpoint.files != [path], !Folder.exists(path) { path = OutputFile.split(path).folder }
    self.path = (File.realPath(path) ?? path) + Self.suffix
  }

  /// Returns the fingerprints, from the file or else by hashing all tensors, and then writes the
  /// file.
  func table(progress: ProgressHandler? = nil) throws(DiffError) -> TensorTable {
    let before = stamps
    if let known = read(before) { return known }
    let table = TensorTable(try checkpoint.fingerprints(progress: progress))
    guard stamps == before else {
      throw DiffError(
        .changed, "was changed by another program while it was read; try again",
        path: checkpoint.path)
    }
    write(table, ifStill: before)
    return table
  }

  private var stamps: [String] {
    checkpoint.files.map { "\(OutputFile.split($0).name) \(FileStamp($0)?.text ?? "")" }
  }

  private func read(_ stamps: [String]) -> TensorTable? {
    let json = try? File.parse(path, limit: 256 << 20) { bytes throws(DiffError) in
      try JSONValue(parsing: bytes)
    }
    guard json?["files"] == .array(stamps.map { .string($0) }),
      let table = TensorTable(contentsOf: path)
    else { return nil }
    let counted = checkpoint.tensors.filter { !$0.isOptimizerState }
    return table.count == counted.count && counted.allSatisfy { table[$0.name] != nil }
      ? table : nil
  }

  /// Writes the present fingerprints of the checkpoint. Errors are ignored: fingerprints can always
  /// be computed again.
  func write(_ table: TensorTable) { write(table, ifStill: stamps) }

  private func write(_ table: TensorTable, ifStill known: [String]) {
    for file in checkpoint.files { FileStamp(file)?.settle() }
    guard stamps == known else { return }
    let files = JSONValue.array(stamps.map { .string($0) }).compact
    let text = "{\"files\":\(files),\n" + table.text.dropFirst()
    try? OutputFile.write(Array(text.utf8), to: path, overwriting: true)
  }
}
