import Kernels
import Platform
import SystemSupport
import TensorCore

/// Changes a checkpoint's own files through a redo journal. The files do not change before
/// `commit`; if that is interrupted, they are the old ones, or the new ones, or there is a journal
/// from which `recover` makes the new ones.
///
/// Only elements can change, of tensors that are contiguous or in unfiltered chunks.
final class PatchOutput: CheckpointOutput {
  private let files: [File]
  /// The files that hold the locks.
  private let locks: [File]
  private let journal: JournalWriter

  /// Starts to change a checkpoint.
  ///
  /// - Parameters:
  ///   - path: the path of its only file, or of the index in the folder of its files.
  ///   - opened: its files, open for reading.
  /// - Throws: `locked` if the files are in use; `unsupportedCheckpoint` if a file has other names
  ///   or is read-only; `interrupted` or `io`.
  init(_ path: String, _ opened: [File]) throws(DiffError) {
    var files: [File] = []
    for file in opened {
      try Self.requireChangeable(file)
      do throws(DiffError) { try file.lock(.exclusive) } catch {
        throw error.advising(.newOutput)
      }
      let writable = try File(file.path, writable: true)
      guard try writable.isSame(as: file) else {
        throw .changedMeanwhile(file.path)
      }
      files.append(writable)
    }
    // The files were unlocked for a moment between the shared and the exclusive lock.
    for file in files { try Journal.refuseInterrupted(file.path) }
    self.files = files
    locks = opened
    journal = try JournalWriter(Journal.path(of: path), files)
  }

  /// Refuses a file that has names other than the specified one, or that is read-only, even to
  /// root.
  private static func requireChangeable(_ file: File) throws(DiffError) {
    guard !File.isLink(file.path) else {
      throw DiffError(
        .unsupportedCheckpoint,
        "a symbolic link, which is not changed in place; name the file that it leads to",
        path: file.path, remedy: .newOutput)
    }
    let status = try file.status()
    // A file without a name has been replaced by a new one.
    guard status.st_nlink > 0 else { throw .changedMeanwhile(file.path) }
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
    // The journal needs the changed elements and their old values.
    throw .notInPlace(tensor.name)
  }

  func write(
    _ bytes: Span<UInt8>, to tensor: StoredTensor, at offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError) {
    tensor.check(offset, bytes.count)
    guard tensor.isBigEndian else {
      return try note(bytes, tensor, offset, changing: positions, from: old)
    }
    try note(
      inFileOrder(bytes, tensor).span, tensor, offset, changing: positions,
      from: inFileOrder(old, tensor).span)
  }

  private func inFileOrder(_ bytes: Span<UInt8>, _ tensor: StoredTensor) -> [UInt8] {
    var ordered: [UInt8] = []
    ordered.append(copying: bytes)
    var span = ordered.mutableSpan
    if tensor.isBigEndian { Kernels.swapBytes(&span, width: tensor.type.byteOrderWidth) }
    return ordered
  }

  /// Appends changes to the journal; all bytes are in the order of the file.
  private func note(
    _ bytes: Span<UInt8>, _ tensor: StoredTensor, _ offset: UInt64,
    changing positions: Span<UInt32>, from old: Span<UInt8>
  ) throws(DiffError) {
    guard let units = tensor.writeUnits else { throw .notInPlace(tensor.name) }
    let width = tensor.type.width
    var record: [UInt8] = []
    for unit in units.units(of: offset..<offset + UInt64(bytes.count)) {
      guard unit.parts.count > 1 || unit.parts[0].count < bytes.count else {
        JournalRun.append(
          bytes, width: width, at: unit.offset, changing: positions, from: old, to: &record)
        continue
      }
      let (inside, changes) = unit.changes(among: positions, width: width)
      guard !inside.isEmpty else { continue }
      var (unitBytes, unitOld): ([UInt8], [UInt8]) = ([], [])
      for part in unit.parts { unitBytes.append(copying: bytes.extracting(part)) }
      for range in changes {
        unitOld.append(copying: old.extracting(range.lowerBound * width..<range.upperBound * width))
      }
      JournalRun.append(
        unitBytes.span, width: width, at: unit.offset, changing: inside.span,
        from: unitOld.span, to: &record)
    }
    try journal.append(record, file: tensor.file)
  }

  func insert(
    _ name: TensorName, _ type: ElementType, _ shape: Shape
  ) throws(DiffError) -> StoredTensor { throw .notInPlace(name) }

  func delete(_ tensor: StoredTensor) throws(DiffError) { throw .notInPlace(tensor.name) }

  func commit() throws(DiffError) {
    guard !journal.isEmpty else { return }
    // An interruption here would leave a file that is unusable before `recover`.
    try Interruption.deferred { () throws(DiffError) in
      try committed().complete(files)
    }
  }

  /// Commits the journal, opens it and checks it.
  private func committed() throws(DiffError) -> JournalReader {
    do throws(DiffError) {
      try journal.commit()
      let reader = try JournalReader(journal.path)
      try reader.check()
      return reader
    } catch {
      // Nothing has changed yet, but the journal may be at its path without being durable or valid.
      guard error.code != .exists, File.exists(journal.path) else { throw error }
      do throws(DiffError) { try File.remove(journal.path) } catch {
        throw .unfinished(journal.path, error)
      }
      throw error
    }
  }
}
