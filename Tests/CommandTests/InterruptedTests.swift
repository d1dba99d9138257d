import Checkpoints
import DiffOperations
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// The state after an interrupted change in place.
@Suite(.enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
struct InterruptedTests {
  /// Applies in place until the process is killed between two changes of `file`, which has
  /// the bytes `old`.
  private func interrupt(
    _ path: String, _ file: String, _ old: [UInt8], _ files: Fixture
  ) throws {
    for call in 1..<100 {
      try write(old, toFile: files(file))
      let fault = Fault(folder: files.folder, kind: .kill)
      let child = try #require(
        try fault.run(["apply", "--in-place", files(path), files("exact.diff")], at: call))
      #expect(child.ending == .signal(9))
      if try files.bytes(file) != old { return }
      // There is a journal and no change yet, or nothing at all.
      _ = try Diffkit.run("recover", files(path))
      removeFile(files(file))
    }
    Issue.record("never interrupted in between")
  }

  @Test("every command refuses the checkpoint and names recover, which completes the change")
  func commands() throws {
    try Fixture.with { files in
      let (x, diff, tuned) = (files("x.h5"), files("exact.diff"), files("tuned.h5"))
      try interrupt("x.h5", "x.h5", files.bytes("base.h5"), files)
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
      expectSuccess(try Diffkit.run("recover", x), "x.h5: completed")
      #expect(try files.bytes("x.h5") == files.bytes("tuned.h5"))
      expectSuccess(try Diffkit.run("recover", x), "nothing to do")
    }
  }

  @Test("a file renamed with its journal is recovered, whatever has the old name")
  func renamed() throws {
    try Fixture.with { files in
      let old = try files.bytes("base.h5")
      try interrupt("x.h5", "x.h5", old, files)
      for suffix in ["", Journal.suffix] {
        try write(files.bytes("x.h5" + suffix), toFile: files("moved.h5" + suffix))
        removeFile(files("x.h5" + suffix))
      }
      try write(old, toFile: files("x.h5"))
      expectSuccess(try Diffkit.run("recover", files("moved.h5")), "moved.h5: completed")
      #expect(try files.bytes("moved.h5") == files.bytes("tuned.h5"))
      #expect(try files.bytes("x.h5") == old)
    }
  }

  @Test("a file that is being changed is not reported as complete")
  func changing() throws {
    try Fixture.with { files in
      let file = try File(files("base.h5"))
      try file.lock(.exclusive)
      expectTrouble(try Diffkit.run("recover", files("base.h5")), "another program")
    }
  }

  @Test("a folder of files is recovered by its name, its index's or that of a part")
  func folder() throws {
    try Fixture.with { files in
      _ = try CheckpointFile.open(files("base.h5")).convert(
        to: files("base.safetensors"), .safetensors)
      let base = try files.bytes("base.safetensors")
      _ = try CheckpointFile.open(files("tuned.h5")).convert(
        to: files("tuned.safetensors"), .safetensors)
      let names = try CheckpointFile.open(files("base.safetensors")).tensors.map(\.name)
      let map = names.map { #""\#($0)":"m.safetensors""# }.joined(separator: ",")
      let index = "m.safetensors.index.json"
      for path in ["m", "m/" + index, "m/m.safetensors"] {
        try makeFolder(files("m"))
        try write(Array(#"{"weight_map":{\#(map)}}"#.utf8), toFile: files("m/" + index))
        try interrupt("m", "m/m.safetensors", base, files)
        for torn in ["m", "m/" + index, "m/m.safetensors"] {
          expectTrouble(
            try Diffkit.run("verify", files("exact.diff"), files(torn)), "diffkit recover")
        }
        expectSuccess(try Diffkit.run("recover", files(path)), "completed")
        #expect(try files.bytes("m/m.safetensors") == files.bytes("tuned.safetensors"))
        #expect(try Folder.names(files("m")) == ["m.safetensors", index])
        _ = try ChildProcess.run("rm", ["-r", files("m")])
      }
    }
  }

  @Test("a damaged journal is not used, and a checkpoint that it does not match is unchanged")
  func damaged() throws {
    try Fixture.with { files in
      let old = try files.bytes("base.h5")
      try interrupt("x.h5", "x.h5", old, files)
      let torn = try files.bytes("x.h5")
      let journal = try files.bytes("x.h5" + Journal.suffix)
      let seed = TestSeed.value
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
      // With --force, a file of the right size gets the new bytes at their offsets.
      expectTrouble(try Diffkit.run("recover", files("x.h5")), "is not the file")
      expectSuccess(try Diffkit.run("recover", files("x.h5"), "--force"), "completed")
      #expect(!files.folder.exists("x.h5" + Journal.suffix))
      expectTrouble(try Diffkit.run("recover", files("none.h5")), "none.h5", "no such file")
    }
  }

  @Test("a change interrupted in diffkit 1.0, with a journal of old bytes, is restored")
  func undoJournal() throws {
    try Scratch.with { scratch in
      let resources = Repository.path + "/Tests/CheckpointsTests/Resources/undo-journal/"
      let (name, journal) = ("x.safetensors", "x.safetensors" + Journal.suffix)
      let old = try contents(ofFile: resources + "old.safetensors")
      for file in [name, journal] {
        try write(contents(ofFile: resources + file), toFile: scratch(file))
      }
      let torn = try contents(ofFile: scratch(name))
      #expect(torn != old)
      let x = scratch(name)
      expectTrouble(try Diffkit.run("inspect", x), x, "diffkit recover '\(x)'")
      // Another file of the same size is not changed.
      removeFile(x)
      try write(torn.map { ~$0 }, toFile: x)
      expectTrouble(try Diffkit.run("recover", x), "is not the file")
      removeFile(x)
      try write(torn, toFile: x)
      expectSuccess(try Diffkit.run("recover", x), "\(name): restored")
      #expect(try contents(ofFile: x) == old)
      #expect(try scratch.names == [name])
    }
  }
}
