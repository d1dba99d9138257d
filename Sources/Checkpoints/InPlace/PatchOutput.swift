import Kernels
import SystemSupport
import TensorCore

/// Changes of a checkpoint's own files, one piece after the other behind an undo journal. Nothing
/// of the files changes before `commit`; whatever stops that, the files are the old ones, or the
/// new ones, or the journal is there, from which `recover` makes the old ones.
///
/// Only elements can change, of tensors in one piece or in chunks that are not filtered.
final class PatchOutput: CheckpointOutput {
  private let files: [File]
  /// They hold the locks.
  private let locks: [File]
  private let journal: JournalWriter

  /// Begins to change a checkpoint.
  ///
  /// - Parameters:
  ///   - path: that of its only file, or of the index in the folder of its files.
  ///   - opened: its files, open for reading.
  /// - Throws: `locked` if anybody else uses them; `unsupportedCheckpoint` if a file has other names
  ///   or is read-only; `interrupted` or `io`.
  init(_ path: String, _ opened: [File]) throws(DiffError) {
    var files: [File] = []
    for file in opened {
      try Self.requireChangeable(file)
      try file.lock(.exclusive)
      let writable = try File(file.path, writable: true)
      guard try writable.isSame(as: file) else {
        throw DiffError(.changed, "was replaced while it was read", path: file.path)
      }
      files.append(writable)
    }
    // Between the shared and the exclusive lock there was a moment without any.
    for file in files { try Journal.refuseInterrupted(file.path) }
    self.files = files
    locks = opened
    journal = try JournalWriter(Journal.path(of: path), files)
  }

  /// Refuses a file whose change would show under names that the user did not give, or that is
  /// marked as one not to be changed, even to root.
  private static func requireChangeable(_ file: File) throws(DiffError) {
    guard !File.isLink(file.path) else {
      throw DiffError(
        .unsupportedCheckpoint,
        "a symbolic link, which is not changed in place; name the file that it leads to",
        path: file.path, remedy: .newOutput)
    }
    let status = try file.status()
    guard status.st_mode & 0o222 != 0 else {
      throw DiffError(
        .unsupportedCheckpoint,
        "is read-only, so it is not changed in place; chmod u+w allows it", path: file.path,
        remedy: .newOutput)
    }
    guard status.st_nlink == 1 else {
      throw DiffError(
        .unsupportedCheckpoint,
        "has other names (hard links), under which it would change too", path: file.path,
        remedy: .newOutput)
    }
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64
  ) throws(DiffError) {
    guard bytes.count > 0 else { return }
    tensor.check(offset, bytes.count)
    guard let units = tensor.writeUnits else { throw Self.unsupported(tensor.name) }
    guard tensor.isBigEndian else { return try note(bytes, tensor.file, units, at: offset) }
    var swapped: [UInt8] = []
    swapped.append(copying: bytes)
    var span = swapped.mutableSpan
    Kernels.swapBytes(&span, width: tensor.type.byteOrderWidth)
    try note(swapped.span, tensor.file, units, at: offset)
  }

  /// Notes bytes in the order of the file.
  private func note(
    _ bytes: Span<UInt8>, _ file: Int, _ units: any WriteUnits, at offset: UInt64
  ) throws(DiffError) {
    for unit in units.units(of: offset..<offset + UInt64(bytes.count)) {
      let old = try files[file].bytes(at: unit.offset, count: unit.count)
      for run in unit.runs {
        try journal.append(
          file: file, at: unit.offset + UInt64(run.inside.lowerBound),
          old: old.span.extracting(run.inside),
          new: bytes.extracting(run.start..<run.start + run.inside.count))
      }
    }
  }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor { throw Self.unsupported(name) }

  func delete(_ tensor: StoredTensor) throws(DiffError) { throw Self.unsupported(tensor.name) }

  private static func unsupported(_ name: TensorName) -> DiffError {
    DiffError(.unsupported, "cannot be changed in place", tensor: name)
  }

  func commit() throws(DiffError) {
    guard !journal.isEmpty else { return }
    // To stop in between would leave a file that is of no use before `recover`.
    try Interruption.deferred { () throws(DiffError) in
      try journal.commit()
      let reader = try JournalReader(journal.path)
      do throws(DiffError) {
        try reader.check()
        try reader.write(.new, to: files)
      } catch {
        try takeBack(reader, after: error)
        throw error
      }
      do throws(DiffError) { try File.remove(journal.path) } catch {
        throw DiffError(
          error.code,
          "\(error.message); the change itself is done, 'diffkit recover' would take "
            + "it back", path: error.path)
      }
      // After a loss of power the journal might be back, and with it the old files: no error.
      try? OutputFile.syncFolder(of: journal.path)
    }
  }

  private func takeBack(
    _ reader: JournalReader, after error: DiffError
  ) throws(DiffError) {
    do throws(DiffError) {
      try reader.write(.old, to: files)
      try File.remove(journal.path)
    } catch {
      throw DiffError(
        error.code,
        "\(error.message); the checkpoint may be changed in part: diffkit recover "
          + "'\(reader.checkpoint)' restores it", path: error.path)
    }
  }
}
