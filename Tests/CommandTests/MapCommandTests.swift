import Checkpoints
import Testing
import TestSupport

@Suite struct MapCommandTests {
  @Test("textgenrnn and a finetune with suffixed names, with a map of one line")
  func suffixes() throws {
    try Scratch.with { scratch in
      try copy(
        CheckpointFile.open(Repository.path + "/samples/textgenrnn_hacker_news.hdf5"),
        to: scratch("tuned.h5"), suffix: "_3")
      try expectSuffixes(
        Repository.path + "/samples/textgenrnn_weights.hdf5", scratch("tuned.h5"))
    }
  }

  @Test(
    "textgenrnn and a real finetune with suffixed names, with a map of one line",
    .enabled(if: Repository.haveShared, "needs ../shared/data"))
  func realSuffixes() throws {
    let keras = Repository.shared + "/keras/"
    try expectSuffixes(keras + "textgenrnn_weights.hdf5", keras + "reddit_apple_android.hdf5")
  }

  @Test("rules that no name matches are named by every command that has a map")
  func unusedRules() throws {
    try Fixture.with { files in
      try write(Array("none\tother\n".utf8), toFile: files("map"))
      let (base, add) = (files("base.h5"), files("add.diff"))
      let commands = [
        ["create", base, files("tuned.h5"), "-o", files("1.diff")],
        ["apply", base, add, "-o", files("1.h5")], ["verify", add, base],
        ["compare", base, base], ["compare", add, add, "--base", base],
        ["report", add, "-o", files("1.html"), "--base", base],
        ["convert", files("1.npz"), files("2.diff"), "--base", base],
      ]
      expectSuccess(try Diffkit.run("convert", add, files("1.npz")))
      for command in commands {
        expectSuccess(
          try Answer(.run(Diffkit.path, command + ["--map", files("map")])),
          "no name matches the map's rule 'none'")
      }
      for option in [["--map", files("map")], ["--base", base]] {
        expectTrouble(
          try Answer(.run(Diffkit.path, ["convert", add, files("3.npz")] + option)),
          "\(option[0]) applies to files of other tools only")
      }
    }
  }

  @Test("a map that gives several tensors one name is refused with two of them")
  func severalToOne() throws {
    try Fixture.with { files in
      let bytes = littleEndian([1, 2] as [Float])
      for (name, first) in [("b", 1), ("t", 3)] as [(String, Float)] {
        try files.make(
          name,
          [MemoryTensor("u", .f32, littleEndian([first, 2])), MemoryTensor("v", .f32, bytes)])
      }
      try files.make("one", [MemoryTensor("same", .f32, bytes)])
      expectSuccess(
        try Diffkit.run("create", files("b"), files("t"), "--add", "-o", files("1.diff")))
      try write(Array("re:^.$\tsame\n".utf8), toFile: files("map"))
      try files.make("both", [MemoryTensor("u", .f32, bytes), MemoryTensor("v", .f32, bytes)])
      try files.make(
        "other",
        [
          MemoryTensor("u", .f32, littleEndian([5, 6] as [Float])),
          MemoryTensor("v", .f32, littleEndian([7, 8] as [Float])),
        ])
      expectSuccess(
        try Diffkit.run("create", files("both"), files("other"), "--add", "-o", files("2.diff")))
      let map = ["--map", files("map")]
      let commands = [
        (["apply", files("one"), files("2.diff"), "-o", files("x")], files("2.diff")),
        (["create", files("both"), files("one"), "-o", files("x")], files("both")),
        (["compare", files("both"), files("one")], files("both")),
      ]
      for (command, file) in commands {
        expectTrouble(
          try Diffkit.run(command + map), file,
          "tensor 'v': and 'u' are both called 'same' by the map")
      }
      // Of the first diff, only one tensor is mapped.
      expectSuccess(
        try Diffkit.run(["apply", files("one"), files("1.diff"), "-o", files("y")] + map))
    }
  }

  private func expectSuffixes(_ base: String, _ tuned: String) throws {
    try Scratch.with { scratch in
      // Without a map nothing is in common, and a tensor that may be the same is named.
      expectTrouble(
        try Diffkit.run("create", base, tuned, "-o", scratch("all.diff")),
        "is not in the checkpoint, nor is any other tensor of \(base)",
        " is; give --map FILE to map tensor names")
      #expect(!scratch.exists("all.diff"))
      try write(Array("re:^(.*)/(.*)/\t$1/${2}_3/\n".utf8), toFile: scratch("bad"))
      expectTrouble(
        try Diffkit.run("create", base, tuned, "-o", scratch("x"), "--map", scratch("bad")),
        scratch("bad"), "line 1")
      try write(Array("re:^([^/]+/[^/]+)/\t$1_3/\n".utf8), toFile: scratch("map"))
      try write(Array("re:^([^/]+/[^/]+)/\t$1_3/\nnone\tother\n".utf8), toFile: scratch("unused"))
      expectSuccess(
        try Diffkit.run(
          "create", base, tuned, "-o", scratch("unused.diff"), "--map", scratch("unused")),
        "no name matches the map's rule 'none'")
      let made = try Diffkit.run(
        "create", base, tuned, "-o", scratch("task.diff"), "--map", scratch("map"))
      expectSuccess(made, "in 10 of 10 tensors")
      #expect(!made.output.contains("only in"))
      // The diff has the base's names, so it applies to the base without a map.
      expectSuccess(
        try Diffkit.run("apply", base, scratch("task.diff"), "-o", scratch("tuned.h5")),
        "10 tensors changed")
      // To the finetune itself it applies with the map: it is already applied, and is reverted.
      expectSuccess(
        try Diffkit.run("apply", tuned, scratch("task.diff"), "--map", scratch("map")),
        "already applied")
      expectTrouble(
        try Diffkit.run("revert", tuned, scratch("task.diff"), "-o", scratch("x")),
        "attention/attention_3/attention_W:0")
      expectSuccess(
        try Diffkit.run(
          "revert", tuned, scratch("task.diff"), "-o", scratch("back.h5"), "--map", scratch("map")),
        "10 tensors changed")
      expectSuccess(
        try Diffkit.run(
          "verify", scratch("task.diff"), scratch("back.h5"), "--map", scratch("map")),
        "is the base")
      expectSuccess(
        try Diffkit.run("verify", scratch("task.diff"), scratch("tuned.h5")), "is the result")
    }
  }
}
