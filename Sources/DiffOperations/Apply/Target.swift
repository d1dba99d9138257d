import Checkpoints
import SystemSupport
import TensorCore

/// The output that tensors are written to.
struct Target {
  let output: any CheckpointOutput
  /// True if the output already holds a copy of each tensor that a pass would rewrite.
  let copiesAll: Bool
  let isPatch: Bool
  /// The output that holds a lock on the base while a new file is written to replace it.
  var lock: (any CheckpointOutput)?
}

/// The change of one tensor, as a target has to know it in advance.
protocol PlannedTensor {
  var name: TensorName { get }
  /// True if all bytes are written, so that they need not be copied first.
  var isRewritten: Bool { get }
  /// True if only elements change, and all can be changed in place.
  var isPatchable: Bool { get }
  /// The most bytes that change.
  var changedBytes: UInt64 { get }
  /// The change of the tensor's row in the checkpoint's table; nil if there is none.
  var tableChange: TableChange? { get }
}

extension Target {
  /// Creates a new checkpoint at `path`.
  ///
  /// - Parameter copiesAll: whether tensors that are written whole are copied first.
  init(
    _ tensors: [any PlannedTensor], of base: any Checkpoint, at path: String,
    copiesAll: Bool = false, overwriting: Bool
  ) throws(DiffError) {
    try FreeSpace.require(base.allocatedSize, at: path)
    let output = try base.makeOutput(
      at: path, rewriting: tensors.rewritten(unless: copiesAll),
      changing: tensors.compactMap(\.tableChange), overwriting: overwriting)
    self.init(output: output, copiesAll: copiesAll, isPatch: false)
  }

  /// Opens the files of `base` themselves if only elements change, and not most of them; otherwise
  /// creates new files that replace the old ones. In a folder of files, only elements can change.
  init(
    _ tensors: [any PlannedTensor], inPlaceOf base: any Checkpoint, copiesAll: Bool = false
  ) throws(DiffError) {
    let patch = try base.makeInPlaceOutput()
    if let tensor = tensors.first(where: { !$0.isPatchable }) {
      if Folder.exists(base.path) || base.files.count > 1 {
        throw DiffError(
          .unsupported,
          "cannot be changed in place in a folder of files: more than elements changes",
          path: base.path, tensor: tensor.name, remedy: .newOutput)
      }
      try self.init(tensors, of: base, at: base.path, copiesAll: copiesAll, overwriting: true)
    } else if try base.isReplacedSooner(than: tensors.map(\.changedBytes).clampedSum) {
      self.init(
        output: try base.makeReplacement(rewriting: tensors.rewritten(unless: copiesAll)),
        copiesAll: copiesAll, isPatch: false)
    } else {
      self.init(output: patch, copiesAll: true, isPatch: true)
      return
    }
    lock = patch
  }
}

extension [any PlannedTensor] {
  /// Returns the tensors that are not copied, since they are written whole.
  fileprivate func rewritten(unless copiesAll: Bool) -> Set<TensorName> {
    copiesAll ? [] : Set(filter(\.isRewritten).map(\.name))
  }
}

extension Checkpoint {
  /// Returns whether new files are written in less time than a journal of the changed bytes and then
  /// the bytes themselves, and there is space for them.
  fileprivate func isReplacedSooner(than changed: UInt64) throws(DiffError) -> Bool {
    let size = try allocatedSize
    // Small files are changed at once either way, and keep their identity.
    guard changed >= 16 << 20, changed > size / 2 else { return false }
    do throws(DiffError) { try FreeSpace.require(size, at: files[0]) } catch {
      guard error.code == .noSpace else { throw error }
      return false
    }
    return true
  }

  /// The size that all files occupy on their device, in bytes.
  fileprivate var allocatedSize: UInt64 {
    get throws(DiffError) {
      var sizes: [UInt64] = []
      for file in files where File.exists(file) { sizes.append(try File(file).allocatedSize) }
      return sizes.clampedSum
    }
  }
}
