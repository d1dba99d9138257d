import SystemSupport
import Testing
import TestSupport

/// Programs without /proc, as in a chroot or a hardened container.
private enum WithoutProc {
  /// The command that runs its arguments with an empty /proc; nil if that is not possible.
  static let start: [String]? = ["-m", "-rm"].map {
    ["unshare", $0, "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""]
  }.first { CLibrary.answers($0[0], Array($0[1...]) + ["test", "!", "-e", "/proc/self"]) }
}

@Suite(.enabled(if: WithoutProc.start != nil, "mount namespaces are not permitted here"))
struct WithoutProcTests {
  private func run(_ program: String, _ arguments: [String]) throws -> Answer {
    let start = try #require(WithoutProc.start)
    return Answer(try .run(start[0], start[1...] + [program] + arguments))
  }

  private func diffkit(_ arguments: String...) throws -> Answer { try run(Diffkit.path, arguments) }

  @Test(
    "checkpoints of both formats are compared, changed and made", arguments: ["h5", "safetensors"])
  func commands(suffix: String) throws {
    try Fixture.with { files in
      for name in ["base", "tuned"] where suffix != "h5" {
        expectSuccess(try diffkit("convert", files("\(name).h5"), files("\(name).\(suffix)")))
      }
      let (base, tuned) = (files("base.\(suffix)"), files("tuned.\(suffix)"))
      let (diff, made, back) = (files("new.diff"), files("made.\(suffix)"), files("back.\(suffix)"))
      expectSuccess(try diffkit("create", base, tuned, "-o", diff))
      expectSuccess(try diffkit("apply", base, diff, "-o", made, "--undo", files("undo.diff")))
      #expect(try files.sameTensors("made.\(suffix)", "tuned.\(suffix)"))
      expectSuccess(try diffkit("revert", made, diff, "-o", back))
      #expect(try files.sameTensors("back.\(suffix)", "base.\(suffix)"))
      expectSuccess(try diffkit("apply", back, diff, "--in-place", "--verify", "touched"))
      #expect(try files.sameTensors("back.\(suffix)", "tuned.\(suffix)"))
      expectSuccess(try diffkit("compare", back, made))
      expectTrouble(try diffkit("apply", base, diff, "-o", made), "exists already")
      let hidden = try files.folder.names.filter { $0.hasPrefix(".") }
      #expect(hidden == [])
    }
  }

  @Test("the programs get their arguments, and refuse those that are not UTF-8")
  func arguments() throws {
    expectTrouble(try diffkit("inspect", "/nowhere"), "/nowhere: ")
    let unknown = try diffkit("unknown")
    #expect(unknown.code == 2 && unknown.errors.contains("no command 'unknown'"))
    let broken = Answer(
      try .run(
        "sh",
        ["-c", #"exec "$@" "$(printf 'a\377b')""#, "sh"] + #require(WithoutProc.start)
          + [Diffkit.path, "inspect"]))
    expectTrouble(broken, "is not UTF-8")
    let helper = try run(OutputFile.split(Diffkit.path).folder + "/diffkit-hdf5", [])
    #expect(helper.errors.contains("a helper that diffkit starts"))
  }

  @Test("HDF5 files whose table and attributes change are replaced, by themselves too")
  func replaced() throws {
    try Scratch.with { scratch in
      let folder = Repository.path + "/Tests/CheckpointsTests/Resources/keras-head-"
      let (base, tuned) = (folder + "base.h5", folder + "tuned.h5")
      let (model, diff) = (scratch("model.h5"), scratch("head.diff"))
      try write(contents(ofFile: base), toFile: model)
      expectSuccess(try diffkit("create", base, tuned, "-o", diff))
      for arguments in [["--in-place"], ["-o", model, "--force"]] {
        for (command, result) in [("apply", tuned), ("revert", base)] {
          expectSuccess(try run(Diffkit.path, [command, model, diff] + arguments), "changed")
          expectSuccess(try diffkit("compare", model, result), "same\n")
        }
      }
    }
  }
}
