import Checkpoints
import DiffOperations
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct InPlaceCommandTests {
  @Test("apply and revert in place say what they did, and leave one file")
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

  @Test("an undo file takes an addition in place back, bit for bit")
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

  @Test("what needs more than a patch is a new file in the old one's place, and is said to be")
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

  @Test("a wrong base, a read-only file, a link and a file in use are refused and stay")
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
}

/// What an interrupted change in place leaves.
@Suite(.enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
struct InterruptedTests {
  /// Applies in place until the process is killed between two changes of `file`.
  private func interrupt(_ path: String, _ file: String, _ files: Fixture) throws {
    let old = try files.bytes(file)
    for call in 1..<100 {
      let fault = Fault(folder: files.folder, kind: .kill)
      let child = try #require(
        try fault.run(["apply", "--in-place", files(path), files("exact.diff")], at: call))
      #expect(child.ending == .signal(9))
      if try files.bytes(file) != old { return }
      // With a journal, and nothing changed yet, or with nothing at all.
      _ = try Diffkit.run("recover", files(path))
    }
    Issue.record("never interrupted in between")
  }

  @Test("every command refuses the checkpoint, and says what restores it; recover does")
  func commands() throws {
    try Fixture.with { files in
      let (x, diff, tuned) = (files("x.h5"), files("exact.diff"), files("tuned.h5"))
      let old = try files.bytes("base.h5")
      try write(old, toFile: x)
      try interrupt("x.h5", "x.h5", files)
      let torn = try files.bytes("x.h5")
      let names = try files.folder.names
      for arguments in [
        ["apply", x, diff, "-o", files("no")], ["apply", x, diff, "--in-place"],
        ["revert", x, diff, "-o", files("no")], ["create", x, tuned, "-o", files("no")],
        ["create", tuned, x, "-o", files("no")], ["convert", x, files("no.safetensors")],
        ["verify", diff, x], ["stats", x, diff], ["apply", tuned, diff, "-o", x, "--force"],
        ["create", tuned, tuned, "-o", x, "--force"], ["convert", tuned, x, "--force"],
      ] {
        expectTrouble(Answer(try .run(Diffkit.path, arguments)), x, "diffkit recover '\(x)'")
      }
      #expect(try files.folder.names == names)
      #expect(try files.bytes("x.h5") == torn)
      expectSuccess(try Diffkit.run("recover", x), "x.h5: restored")
      #expect(try files.bytes("x.h5") == old)
      expectSuccess(try Diffkit.run("recover", x), "nothing to do")
    }
  }

  @Test("a folder of files is restored by its own name, its index's or a part's")
  func folder() throws {
    try Fixture.with { files in
      _ = try CheckpointFile.open(files("base.h5")).convert(
        to: files("base.safetensors"), .safetensors)
      let whole = try files.bytes("base.safetensors")
      let names = try CheckpointFile.open(files("base.safetensors")).tensors.map(\.name)
      let map = names.map { #""\#($0)":"m.safetensors""# }.joined(separator: ",")
      let index = "m.safetensors.index.json"
      for path in ["m", "m/" + index, "m/m.safetensors"] {
        try makeFolder(files("m"))
        try write(whole, toFile: files("m/m.safetensors"))
        try write(Array(#"{"weight_map":{\#(map)}}"#.utf8), toFile: files("m/" + index))
        try interrupt("m", "m/m.safetensors", files)
        for torn in ["m", "m/" + index, "m/m.safetensors"] {
          expectTrouble(
            try Diffkit.run("verify", files("exact.diff"), files(torn)), "diffkit recover")
        }
        expectSuccess(try Diffkit.run("recover", files(path)), "restored")
        #expect(try files.bytes("m/m.safetensors") == whole)
        #expect(try Folder.names(files("m")) == ["m.safetensors", index])
        _ = try ChildProcess.run("rm", ["-r", files("m")])
      }
    }
  }

  @Test("a damaged journal is not used, and a checkpoint it does not fit stays as it is")
  func damaged() throws {
    try Fixture.with { files in
      let old = try files.bytes("base.h5")
      try write(old, toFile: files("x.h5"))
      try interrupt("x.h5", "x.h5", files)
      let torn = try files.bytes("x.h5")
      let journal = try files.bytes("x.h5" + Journal.suffix)
      let seed = UInt64.random(in: 0..<1000)
      var random = SplitMix64(seed: seed)
      func put(_ bytes: [UInt8], _ name: String) throws {
        removeFile(files(name))
        try write(bytes, toFile: files(name))
      }
      for round in 0..<300 {
        var bytes = journal
        if round % 3 == 0 {
          bytes.removeLast(1 + Int(random.next() % UInt64(bytes.count)))
        } else {
          bytes[Int(random.next() % UInt64(bytes.count))] ^= 1 << UInt8(random.next() % 8)
        }
        try put(bytes, "x.h5" + Journal.suffix)
        #expect(throws: DiffError.self, "seed \(seed) round \(round)") {
          try CheckpointFile.recover(files("x.h5"))
        }
        #expect(try files.bytes("x.h5") == torn)
      }
      try put(journal, "x.h5" + Journal.suffix)
      for other in [try files.bytes("exact.diff"), old.map { ~$0 }] {
        try put(other, "x.h5")
        let error = #expect(throws: DiffError.self) { try CheckpointFile.recover(files("x.h5")) }
        #expect(error?.code == .changed)
        #expect(try files.bytes("x.h5") == other)
      }
      // By force, what has the right size gets the old bytes where they belong.
      expectTrouble(try Diffkit.run("recover", files("x.h5")), "is not the file")
      expectSuccess(try Diffkit.run("recover", files("x.h5"), "--force"), "restored")
      #expect(!files.folder.exists("x.h5" + Journal.suffix))
      expectTrouble(try Diffkit.run("recover", files("none.h5")), "none.h5", "no such file")
    }
  }
}
