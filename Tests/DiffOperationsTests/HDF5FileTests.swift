import Checkpoints
import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

/// The main paths on HDF5 files made from one that has every kind of storage.
@Suite struct HDF5FileTests {
  /// A finetune of `Repository.base`: every tensor changed in every third element, one deleted,
  /// two inserted.
  private func makeTuned(_ path: String) throws {
    let base = try CheckpointFile.open(Repository.base)
    let output = try base.makeOutput(at: path, rewriting: [], overwriting: false)
    for tensor in base.tensors where tensor.name != "model.x" {
      var bytes = try allBytes(tensor, base)
      for i in stride(from: 0, to: bytes.count, by: 3 * tensor.type.width) {
        bytes[i] ^= tensor.type == .bool ? 1 : 0x15
      }
      try output.write(bytes.span, to: tensor, at: 0)
    }
    try output.delete(#require(base.tensors.first { $0.name == "model.x" }))
    let head = try output.insert("head/kernel:0", .f32, #require(Shape([2, 3])))
    try output.write([UInt8](1...24).span, to: head, at: 0)
    _ = try output.insert("head/empty", .f16, Shape(vector: 0))
    try output.commit()
  }

  private func allBytes(_ tensor: StoredTensor, _ file: any Checkpoint) throws -> [UInt8] {
    return try file.bytes(of: tensor)
  }

  @Test(
    "apply and revert, whatever the storage, exact in both directions",
    arguments: [
      Verification.full, .touched,
    ])
  func roundTrip(verification: Verification) throws {
    try Scratch.with { scratch in
      try makeTuned(scratch("tuned.h5"))
      let (base, tuned) = (
        try CheckpointFile.open(Repository.base), try CheckpointFile.open(scratch("tuned.h5"))
      )
      var options = ApplyOptions()
      options.verification = verification
      options.undoPath = scratch("undo.diff")
      let made = try diff(base, tuned)
      let applied = scratch("applied.h5")
      #expect(
        try Diffs.apply([made], to: base, output: applied, options) == .written(tensors: made.count)
      )
      try expectEqual(applied, tuned)
      try expectEqual(Repository.base, base)
      options.undoPath = nil
      let result = try CheckpointFile.open(applied)
      #expect(try Diffs.apply([made], to: result, output: scratch("no"), options) == .alreadyDone)
      _ = try Diffs.apply([made], .revert, to: result, output: scratch("reverted.h5"), options)
      try expectEqual(scratch("reverted.h5"), base)
      let undo = try DiffReader(scratch("undo.diff"))
      _ = try Diffs.apply([undo], to: result, output: scratch("undone.h5"), options)
      try expectEqual(scratch("undone.h5"), base)
      #expect(try Diffs.verify(made, against: base, verification).checkpoint == .base)
      #expect(try Diffs.verify(made, against: result, verification).checkpoint == .applied)
      let names = try scratch.names
      #expect(names == ["applied.h5", "reverted.h5", "tuned.h5", "undo.diff", "undone.h5"])
    }
  }

  @Test("replace and add")
  func otherModes() throws {
    try Scratch.with { scratch in
      try makeTuned(scratch("tuned.h5"))
      let (base, tuned) = (
        try CheckpointFile.open(Repository.base), try CheckpointFile.open(scratch("tuned.h5"))
      )
      _ = try Diffs.apply([diff(base, tuned, .replace)], to: base, output: scratch("replaced.h5"))
      try expectEqual(scratch("replaced.h5"), tuned)
      var options = CreateOptions()
      options.mode = .add(.all, values: .f32)
      options.skipsNonfloat = true
      let sum = try DiffReader(bytes: diffBytes(base, tuned, options))
      _ = try Diffs.apply([sum], to: base, output: scratch("added.h5"))
      let added = try CheckpointFile.open(scratch("added.h5"))
      #expect(try Diffs.verify(sum, against: added).checkpoint == .applied)
    }
  }

  @Test("a refusal leaves no file")
  func refusals() throws {
    try Scratch.with { scratch in
      try makeTuned(scratch("tuned.h5"))
      let (base, tuned) = (
        try CheckpointFile.open(Repository.base), try CheckpointFile.open(scratch("tuned.h5"))
      )
      let made = try diff(base, tuned)
      var options = ApplyOptions()
      options.undoPath = scratch("undo")
      let head = try #require(tuned.tensors.first { $0.name == "model/packed" })
      let output = try base.makeOutput(
        at: scratch("other.h5"), rewriting: [], overwriting: false)
      try output.write([9, 9].span, to: head, at: 700)
      try output.commit()
      let error = #expect(throws: DiffError.self) {
        try Diffs.apply(
          [made], to: CheckpointFile.open(scratch("other.h5")), output: scratch("no"), options)
      }
      #expect(error?.code == .wrongBase)
      #expect(error?.tensor == "model/packed")
      #expect(error?.path == scratch("other.h5"))
      let names = try scratch.names
      #expect(names == ["other.h5", "tuned.h5"])
    }
  }
}
