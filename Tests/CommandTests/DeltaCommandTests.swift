import Checkpoints
import Compression
import DiffFormat
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// `diffkit convert` with the deltas of other tools.
@Suite struct DeltaCommandTests {
  private static let folder = Repository.path + "/Tests/DiffOperationsTests/Resources/deltas/"
  private static let base = folder + "base"

  @Test(
    "a delta becomes a diff that makes the tuned checkpoint",
    arguments: ["xor-xxh3-128/weight_v000001", "overwrite-xxh3-128/weight_v000001", "arc_v2"])
  func imports(_ delta: String) throws {
    try Scratch.with { scratch in
      let made = scratch("step.diff")
      expectSuccess(
        try Diffkit.run("convert", Self.folder + delta, made, "--base", Self.base),
        "step.diff: diff, ", " in 5 tensors")
      expectSuccess(
        try Diffkit.run("apply", Self.base, made, "-o", scratch("tuned")), "5 tensors changed")
      expectSuccess(
        try Diffkit.run("compare", Self.folder + "tuned", scratch("tuned")), "same")
    }
  }

  @Test("a diff becomes a delta, and again a diff")
  func exports() throws {
    try Scratch.with { scratch in
      let made = scratch("step.diff")
      expectSuccess(
        try Diffkit.run("create", Self.base, Self.folder + "tuned", "-o", made))
      for format in ["delta-xor", "delta-overwrite", "arc-v1", "arc-v2"] {
        try makeFolder(scratch(format))
        let delta = scratch(format) + "/weight_v000012"
        expectSuccess(
          try Diffkit.run("convert", made, delta, "--to", format, "--base", Self.base),
          "weight_v000012: \(format), ")
        expectTrouble(
          try Diffkit.run("convert", made, delta, "--to", format, "--base", Self.base), "exists")
        let again = scratch(format) + "/again.diff"
        expectSuccess(try Diffkit.run("convert", delta, again, "--base", Self.base))
        let (one, other) = (try DiffReader(made), try DiffReader(again))
        #expect(
          Contents(try one.contents().tensors) == Contents(try other.contents().tensors))
      }
    }
  }

  /// The shape of `store add --json`.
  private struct Added: Decodable {
    struct Version: Decodable {
      let parent: String?
      let kind: String?
      let changes: UInt64?
    }
    let version: Version
  }

  @Test("a store takes deltas as exact links from the version that they name")
  func stores() throws {
    try Scratch.with { scratch in
      let store = scratch("runs")
      expectSuccess(try Diffkit.run("store", "init", store, Self.base))
      func add(_ path: String, _ arguments: String...) throws -> Added.Version {
        let answer = try Diffkit.run(["store", "add", store, path, "--json"] + arguments)
        #expect((answer.code, answer.errors) == (0, ""))
        return try answer.json(Added.self).version
      }
      let one = try add(Self.folder + "xor-xxh3-128/weight_v000001", "--name", "one")
      #expect(one.parent == "base" && one.kind == "exact")
      // Nothing changes in this one, which names no base that the store has.
      let same = try add(Self.folder + "unchanged/weight_v000001", "--name", "same")
      #expect(same.parent == "one" && same.changes == 0)
      _ = try add(Self.base, "--name", "other")
      // The next step, back to the base, whose own base is the last version of number 1.
      expectSuccess(
        try Diffkit.run("create", Self.folder + "tuned", Self.base, "-o", scratch("back.diff")))
      let back = scratch("weight_v000002")
      expectSuccess(
        try Diffkit.run(
          "convert", scratch("back.diff"), back, "--to", "delta-overwrite", "--base",
          Self.folder + "tuned"))
      #expect(try add(back, "--from", Self.folder + "tuned").parent == "same")
      #expect(try add(Self.folder + "arc_v2", "--name", "arc", "--parent", "base").parent == "base")
      for name in ["one", "same", "arc"] {
        expectSuccess(try Diffkit.run("store", "get", store, name, "-o", scratch(name)))
        expectSuccess(
          try Diffkit.run("compare", Self.folder + "tuned", scratch(name)), "same")
      }
      expectSuccess(try Diffkit.run("store", "check", store, "--rebuild"), "sound; 6 versions")
      expectTrouble(
        try Diffkit.run(
          "store", "add", store, back, "--parent", "base", "--from", Self.folder + "tuned"),
        "is not version 'base'")
      expectTrouble(
        try Diffkit.run(
          "store", "add", store, Self.folder + "xor-xxh3-128/weight_v000001", "--parent", "one"),
        "already")
      expectTrouble(
        try Diffkit.run("store", "add", store, Self.folder + "arc_v3.safetensors"), "arc_v3")
    }
  }

  @Test("a delta is refused wherever a checkpoint is expected, over a base of bytes too")
  func noCheckpoint() throws {
    try Scratch.with { scratch in
      let base = scratch("base.safetensors")
      try CheckpointFile.make(at: base, .safetensors, [("w", .u8, Shape(vector: 100))]).output
        .commit()
      let delta = try SafeTensorsPayloads(
        scratch("delta.safetensors"), ["w"], valueLength: 32, overwriting: false)
      let new = [UInt8](repeating: 7, count: 100)
      let compressor = ZstdCompressor(level: 1, size: 100)
      try delta.append(compressor.compress(new.span, isLast: true).span)
      var adler = Adler32()
      adler.update(new.span)
      delta.end("w", value: "\(adler.value)")
      try delta.commit()
      expectSuccess(try Diffkit.run("store", "init", scratch("runs"), base))
      expectSuccess(
        try Diffkit.run("store", "add", scratch("runs"), scratch("delta.safetensors")),
        "100 changes")
      let folder = Self.folder + "xor-xxh3-128/weight_v000001"
      for (delta, base) in [(scratch("delta.safetensors"), base), (folder, Self.base)] {
        for arguments in [
          ["create", base, delta, "-o", scratch("x.diff")], ["stats", delta],
          ["compare", base, delta], ["inspect", delta], ["store", "init", scratch("other"), delta],
          ["store", "add", scratch("runs"), base, "--from", delta],
        ] {
          expectTrouble(try Diffkit.run(arguments), "a delta of another tool")
        }
      }
    }
  }

  @Test("a payload that expands without limit is refused in little memory")
  func bomb() throws {
    try Scratch.with { scratch in
      let base = scratch("base.safetensors")
      try CheckpointFile.make(at: base, .safetensors, [("w", .u8, Shape(vector: 100))]).output
        .commit()
      // Four gigabytes of zeros for a hundred bytes.
      let compressor = ZstdCompressor(level: 1, size: 1 << 32)
      let zeros = [UInt8](repeating: 0, count: 1 << 24)
      let delta = try SafeTensorsPayloads(
        scratch("delta.safetensors"), ["w"], valueLength: 32, overwriting: false)
      for number in 1...256 {
        try delta.append(compressor.compress(zeros.span, isLast: number == 256).span)
      }
      delta.end("w", value: "1")
      try delta.commit()
      expectTrouble(
        try Diffkit.runInLittleMemory(
          "convert", scratch("delta.safetensors"), scratch("x.diff"), "--base", base),
        "more bytes")
      #expect(!scratch.exists("x.diff"))
    }
  }

  @Test("missing or contradictory input is one line of error, and no file")
  func trouble() throws {
    try Scratch.with { scratch in
      let delta = Self.folder + "xor-xxh3-128/weight_v000001"
      let made = scratch("step.diff")
      expectTrouble(try Diffkit.run("convert", delta, made), "from version 0", "--base")
      expectTrouble(
        try Diffkit.run("convert", delta, made, "--base", Self.base, "--values", "f16"), "--values")
      expectTrouble(
        try Diffkit.run("convert", delta, scratch("x.npz"), "--base", Self.base), "a delta")
      expectTrouble(
        try Diffkit.run("convert", delta, made, "--base", Self.folder + "tuned"),
        "model.0.codes", "already")
      expectTrouble(
        try Diffkit.run(
          "convert", Self.folder + "arc_v3.safetensors", made, "--base", Self.base), "arc_v3")
      expectTrouble(
        try Diffkit.run(
          "convert", Self.folder + "xor-blake3/weight_v000001", made, "--base", Self.base), "blake3"
      )
      expectTrouble(
        try Diffkit.run("convert", Self.base, made, "--checksum", "adler32"), "--checksum")
      #expect(try scratch.names.isEmpty)
    }
  }
}
