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
