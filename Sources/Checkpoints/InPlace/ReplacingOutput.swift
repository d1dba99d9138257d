import SystemSupport
import TensorCore

/// Replaces the files of a folder by new ones, all or none, where so much changes that a journal of
/// it would be about as long as the files.
///
/// The new files are written without names. `commit` makes them durable beside the old ones, then a
/// journal that stands for their renaming: before it exists the files are the old ones, afterwards
/// they are the new ones, or `recover` makes them so.
final class ReplacingOutput: CheckpointOutput {
  private let journalPath: String
  private let files: [File]
  private let parts: [SafeTensorsOutput]

  /// - Parameters:
  ///   - path: the path of the index in the folder, or of its only file.
  ///   - parts: the files; the caller holds locks on them.
  ///   - rewriting: the tensors that the caller will write whole.
  init(
    _ path: String, _ parts: [SafeTensorsFile], rewriting: Set<TensorName>
  ) throws(DiffError) {
    journalPath = Journal.path(of: path)
    files = parts.map(\.file)
    // Those of a change that was not committed; without them, new ones get their names in one step.
    Journal.removeNewFiles(of: files.map(\.path))
    self.parts = try parts.map { (part) throws(DiffError) in
      try SafeTensorsOutput(
        part.file.path + Journal.newSuffix, copying: part, rewriting: rewriting, changing: [],
        overwriting: false)
    }
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) { try parts[tensor.file].write(bytes, to: tensor, at: offset) }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor { throw .notInPlace(name) }

  func delete(_ tensor: StoredTensor) throws(DiffError) { throw .notInPlace(tensor.name) }

  func commit() throws(DiffError) {
    // An interruption here would leave files of other names, or a folder that is unusable before
    // `recover`.
    try Interruption.deferred { () throws(DiffError) in
      do throws(DiffError) {
        for part in parts { try part.commit() }
        try JournalWriter(journalPath, files, version: Journal.renamingVersion).commit()
      } catch {
        Journal.removeNewFiles(of: files.map(\.path))
        throw error
      }
      let journal: JournalReader
      do throws(DiffError) { journal = try JournalReader(journalPath) } catch {
        throw .unfinished(journalPath, error)
      }
      try journal.complete(files)
    }
  }
}
