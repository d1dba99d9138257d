import Checkpoints
import DiffFormat
import DiffOperations
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct InPlaceCommandTests {
  @Test("apply and revert in place report what they did, and leave one file")
  func roundTrip() throws {
    try Fixture.with { files in
      let base = try files.bytes("base.h5")
      expectSuccess(
        try Diffkit.run("apply", "--in-place", files("base.h5"), files("exact.diff")),
        "base.h5: patched, 2 tensors changed")
      #expect(try files.sameTensors("base.h5", "tuned.h5"))
      expectSuccess(
        try Diffkit.run("apply", "--in-place", files("base.h5"), files("exact.diff")),
        "already applied, nothing written")
      expectSuccess(
        try Diffkit.run("revert", "--in-place", files("base.h5"), files("exact.diff")),
        "base.h5: patched, 2 tensors changed")
      #expect(try files.bytes("base.h5") == base)
      expectSuccess(
        try Diffkit.run("recover", files("base.h5")), "no change was interrupted, nothing to do")
      #expect(try files.folder.names == Fixture.names)
    }
  }

  @Test("an undo file reverts an addition in place, bit for bit")
  func undo() throws {
    try Fixture.with { files in
      let base = try files.bytes("base.h5")
      expectSuccess(
        try Diffkit.run(
          "apply", "--in-place", files("base.h5"), files("add.diff"), "--undo", files("undo.diff")))
      #expect(try files.sameTensors("base.h5", "tuned.h5"))
      expectSuccess(
        try Diffkit.run("apply", "--in-place", files("base.h5"), files("undo.diff"), "-q"))
      #expect(try files.bytes("base.h5") == base)
    }
  }

  @Test("if a diff is already applied, the undo file in place has no entries")
  func undoOfNothing() throws {
    try Fixture.with { files in
      let tuned = try files.bytes("tuned.h5")
      expectSuccess(
        try Diffkit.run(
          "apply", "--in-place", files("tuned.h5"), files("exact.diff"), "--undo",
          files("undo.diff")), "already applied, nothing written")
      #expect(try DiffReader(files("undo.diff")).isEmpty)
      #expect(try files.bytes("tuned.h5") == tuned)
    }
  }

  @Test("a change that is more than a patch replaces the old file by a new one, which is reported")
  func replaced() throws {
    try Fixture.with { files in
      _ = try CheckpointFile.open(files("base.h5")).convert(
        to: files("base.safetensors"), .safetensors)
      let base = try CheckpointFile.open(files("base.safetensors"))
      let output = try base.makeOutput(
        at: files("more.safetensors"), rewriting: [], changing: [.insert("head", .u8, .scalar)],
        overwriting: false)
      try output.write([7].span, to: output.insert("head", .u8, .scalar), at: 0)
      try output.commit()
      expectSuccess(
        try Diffkit.run(
          "create", files("base.safetensors"), files("more.safetensors"), "-o", files("head.diff")))
      withExtendedLifetime(base) {}
      expectSuccess(
        try Diffkit.run("apply", "--in-place", files("more.safetensors"), files("head.diff")),
        "already applied")
      expectSuccess(
        try Diffkit.run("revert", "--in-place", files("more.safetensors"), files("head.diff")),
        "more.safetensors: replaced by a new file, 1 tensor changed")
      #expect(try files.bytes("more.safetensors") == files.bytes("base.safetensors"))
    }
  }

  @Test("a wrong base, a read-only file, a link and a file in use are refused and unchanged")
  func refused() throws {
    try Fixture.with { files in
      try files.change("base.h5", "other.h5", ["model/kernel:0": 77])
      let other = try files.bytes("other.h5")
      expectTrouble(
        try Diffkit.run("apply", "--in-place", files("other.h5"), files("exact.diff")),
        files("other.h5"), "tensor 'model/kernel:0'")
      #expect(try files.bytes("other.h5") == other)
      let base = try files.bytes("base.h5")
      for (prepare, message) in [
        ("chmod 444", "read-only"), ("chmod 644", ""), ("ln -s", "symbolic link"),
        ("flock --shared", "in use by another program"),
      ] {
        var command = [Diffkit.path, "apply", "--in-place", files("base.h5"), files("exact.diff")]
        switch prepare {
        case "ln -s":
          _ = try ChildProcess.run("ln", ["-s", "base.h5", files("link.h5")])
          command[3] = files("link.h5")
        case "flock --shared": command = ["flock", "--shared", files("base.h5")] + command
        default:
          _ = try ChildProcess.run("chmod", [String(prepare.suffix(3)), files("base.h5")])
          if message.isEmpty { continue }
        }
        let child = try ChildProcess.run(command[0], Array(command.dropFirst()))
        expectTrouble(Answer(child), message)
        #expect(try files.bytes("base.h5") == base)
      }
      let usage = try Diffkit.run(
        "apply", "--in-place", files("base.h5"), files("exact.diff"), "-o", files("x"))
      #expect(usage.code == 2)
      #expect(usage.errors.contains("--in-place and -o exclude each other"))
    }
  }

  @Test("a file that another program locks for writing is not read")
  func beingWritten() throws {
    try Fixture.with { files in
      let child = try ChildProcess.run(
        "flock",
        [
          "--exclusive", files("base.h5"), Diffkit.path, "verify", files("exact.diff"),
          files("base.h5"),
        ])
      expectTrouble(Answer(child), files("base.h5"), "is being changed by another program")
    }
  }

  @Test("of two processes that change a file, the loser reports it, or finds the change done")
  func race() throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: TestSeed.value)
      let model = try BigModel(scratch, &random, elements: 500_000)
      let tuned = try contents(ofFile: model.tuned)
      for round in 0..<12 {
        let both = try ChildProcess.run(
          "sh",
          [
            "-c",
            """
            "$0" apply "$1" "$2" --in-place & first=$!
            "$0" apply "$1" "$2" --in-place & second=$!
            wait $first; a=$?; wait $second; b=$?; [ $a$b = 00 ] || [ $a$b = 02 ] || [ $a$b = 20 ]
            """, Diffkit.path, model.base, model.diff,
          ])
        let answer = Answer(both)
        #expect(answer.code == 0, "round \(round): \(answer)")
        #expect(
          answer.errors.isEmpty || answer.errors.contains("by another program"), "\(answer)")
        #expect(try contents(ofFile: model.base) == tuned)
        expectSuccess(try Diffkit.run("revert", model.base, model.diff, "--in-place"))
      }
    }
  }

  /// Writes a copy with one more tensor, and closes the files, on which it has locks.
  private func insertHead(_ base: String, _ tuned: String) throws {
    let output = try CheckpointFile.open(base).makeOutput(
      at: tuned, rewriting: [], changing: [.insert("head", .u8, .scalar)], overwriting: false)
    try output.write([7].span, to: output.insert("head", .u8, .scalar), at: 0)
    try output.commit()
  }

  @Test(
    "of two processes that replace a file by a new one, the loser reports that",
    arguments: ["h5", "safetensors"])
  func replacingRace(suffix: String) throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: TestSeed.value)
      let model = try BigModel(scratch, &random, elements: 200_000)
      let (base, tuned) = (scratch("model.\(suffix)"), scratch("head.\(suffix)"))
      let (diff, kept) = (scratch("head.diff"), scratch("kept"))
      if let format = CheckpointFormat(suffixOf: base) {
        _ = try CheckpointFile.open(model.base).convert(to: base, format)
      }
      try insertHead(base, tuned)
      expectSuccess(try Diffkit.run("create", base, tuned, "-o", diff))
      try write(contents(ofFile: base), toFile: kept)
      var won = 0
      for round in 0..<16 {
        let answer = Answer(
          try .run(
            "sh",
            [
              "-c",
              """
              cp "$3" "$1"
              "$0" apply "$1" "$2" --in-place & first=$!
              "$0" apply "$1" "$2" --in-place & second=$!
              wait $first; a=$?; wait $second; b=$?; echo "$a$b"
              """, Diffkit.path, base, diff, kept,
            ]))
        // Both hold the lock of readers for a moment, so both may be refused.
        let codes = answer.output.split(separator: "\n").last ?? ""
        #expect(["00", "02", "20", "22"].contains(codes), "round \(round): \(answer)")
        #expect(
          answer.errors.isEmpty || answer.errors.contains("by another program"), "\(answer)")
        if codes == "22" { continue }
        won += 1
        expectSuccess(try Diffkit.run("compare", base, tuned), "same\n")
      }
      #expect(won > 0)
    }
  }
}
