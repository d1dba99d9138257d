import Checkpoints
import DiffFormat
import DiffOperations
import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// libDiffKit, called from C and Python.
@Suite struct CLibraryTests {
  private static let python =
    unsafe getenv("DIFFKIT_PYTHON").map { unsafe String(cString: $0) } ?? "python3"
  private static let hasNumPy = CLibrary.answers(python, ["-c", "import numpy"])

  @Test(
    "samples/c/apply_diff.c lists entries and makes the tuned tensor, once",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func example() throws {
    try Fixture.with { files in
      let program = files("apply_diff")
      try CLibrary.compile(Repository.path + "/samples/c/apply_diff.c", to: program)
      let (exact, tensor) = (files("exact.diff"), "model/big")
      let list = Answer(try .run(program, [exact]))
      expectSuccess(list, "model/big: 1 of", "model/kernel:0: 1 of")
      try write(files.bytes(of: "model/big", "base.h5"), toFile: files("base.raw"))
      // With the other separator, as in names of PyTorch.
      let made = Answer(
        try .run(program, [exact, "model.big", files("base.raw"), files("tuned.raw")]))
      #expect((made.code, made.output, made.errors) == (0, "", ""))
      let tuned = try files.bytes(of: "model/big", "tuned.h5")
      #expect(try files.bytes("tuned.raw") == tuned)
      let again = Answer(try .run(program, [exact, tensor, files("tuned.raw"), files("2.raw")]))
      #expect((again.code, again.errors) == (1, ""))
      #expect(try files.bytes("2.raw") == tuned)
      try write([UInt8](repeating: 9, count: tuned.count), toFile: files("other.raw"))
      try write(Array(tuned.dropLast()), toFile: files("short.raw"))
      for name in ["other.raw", "short.raw"] {
        let refused = Answer(try .run(program, [exact, tensor, files(name), files("no.raw")]))
        #expect(refused.code == 2)
        #expect(refused.errors.contains("tensor 'model/big'"))
      }
      #expect(!files.folder.exists("no.raw"))
    }
  }

  @Test(
    "every function returns what is documented, also for wrong arguments",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func functions() throws {
    try Fixture.with { files in
      try CLibrary.compile(Repository.path + "/Tests/CommandTests/library.c", to: files("library"))
      try write(files.bytes(of: "model/big", "base.h5"), toFile: files("base.raw"))
      try write(files.bytes(of: "model/big", "tuned.h5"), toFile: files("tuned.raw"))
      let answer = Answer(
        try .run(
          files("library"),
          [files("exact.diff"), files("add.diff"), files("base.raw"), files("tuned.raw")]))
      #expect((answer.code, answer.errors) == (0, ""))
    }
  }

  @Test(
    "diffs of tensors in memory: made, read by a callback, their elements saved and exchanged",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func memory() throws {
    try Scratch.with { scratch in
      try CLibrary.compile(
        Repository.path + "/Tests/CommandTests/library_memory.c", to: scratch("memory"))
      let answer = Answer(try .run(scratch("memory"), [scratch.path]))
      #expect((answer.code, answer.errors) == (0, ""))
      #expect(try scratch.names.sorted() == ["memory", "memory.diff"])
    }
  }

  @Test(
    "a follower of a store: prepared, committed and read, also with wrong arguments",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func follower() throws {
    try Fixture.with { files in
      let (store, program) = (files("runs"), files("follower"))
      expectSuccess(try Diffkit.run("store", "init", store, files("base.h5")))
      expectSuccess(
        try Diffkit.run("store", "add", store, files("tuned.h5"), "--name", "tuned"))
      try write(files.bytes(of: "model/big", "base.h5"), toFile: files("base.raw"))
      try write(files.bytes(of: "model/big", "tuned.h5"), toFile: files("tuned.raw"))
      try CLibrary.compile(Repository.path + "/Tests/CommandTests/follower.c", to: program)
      let answer = Answer(
        try .run(
          program, [store, "base", "tuned", "model.big", files("base.raw"), files("tuned.raw")]))
      #expect((answer.code, answer.errors) == (0, ""))
    }
  }

  @Test(
    "no sample, valid or invalid, crashes it",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func samples() throws {
    try Scratch.with { scratch in
      try CLibrary.compile(
        Repository.path + "/Tests/CommandTests/library_fuzz.c", to: scratch("fuzz"))
      for kind in ["valid", "invalid"] {
        let folder = Scratch(path: Repository.path + "/samples/\(kind)")
        let paths = try folder.names.filter { $0.hasSuffix(".diff") }.map { "\(folder.path)/\($0)" }
        let answer = Answer(try .run(scratch("fuzz"), paths))
        #expect((answer.code, answer.errors) == (0, ""), "\(kind)")
        let damaged = answer.output.split(separator: "\n").count { $0.contains(": damaged") }
        #expect(kind == "valid" ? damaged == 0 : damaged == paths.count)
      }
    }
  }

  @Test(
    "samples/python/apply_diff.py applies a diff to a dict of NumPy arrays",
    .enabled(if: CLibrary.isUsable && hasNumPy, "there is no libDiffKit.so or no NumPy here"))
  func numpy() throws { try Scratch.with { try numpy($0) } }

  private func numpy(_ scratch: Scratch) throws {
    let base = MemoryCheckpoint([
      MemoryTensor("a.w", .f32, littleEndian((0..<1000).map { Float($0) })),
      MemoryTensor("gone", .u8, [1, 2, 3]),
      MemoryTensor("h", .f16, [0x00, 0x3C, 0x00, 0x40, 0x00, 0x42]),
    ])
    var tuned = base.all
    tuned[0].bytes[4 * 7 + 2] ^= 0x55
    tuned[2].bytes[1] ^= 3
    let sink = try FileSink(scratch("task.diff"))
    let head = MemoryTensor("head", .i64, littleEndian([UInt64.max - 4, 6]))
    _ = try Diffs.create(from: base, to: MemoryCheckpoint([tuned[0], tuned[2], head]), into: sink)
    try sink.commit()
    let script = Repository.path + "/samples/python/apply_diff.py"
    func python(_ arguments: [String]) throws -> Answer {
      Answer(
        try .run(
          "env",
          [
            "PYTHONDONTWRITEBYTECODE=1", "DIFFKIT_LIBRARY=\(CLibrary.path)",
            "PYTHONPATH=\(Repository.path)/Sources/DiffKitPython", Self.python,
          ] + arguments))
    }
    let make = """
      import numpy as np, sys
      np.savez(sys.argv[1], **{"a/w": np.arange(1000, dtype="f4"), "gone": np.array([1, 2, 3], "u1"),
        "h": np.array([1, 2, 3], "f2"), "other": np.ones(3)})
      """
    expectSuccess(try python(["-c", make, scratch("in.npz")]))
    expectSuccess(
      try python([script, scratch("task.diff"), scratch("in.npz"), scratch("out.npz")]),
      "4 tensors changed")
    let show = """
      import numpy as np, sys
      d = np.load(sys.argv[1])
      for k in sorted(d): print(k, d[k].dtype, d[k].shape, d[k].tobytes().hex())
      """
    let shown = try python(["-c", show, scratch("out.npz")])
    func hex(_ bytes: [UInt8]) -> String {
      bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    #expect(
      shown.output == """
        a/w float32 (1000,) \(hex(tuned[0].bytes))
        h float16 (3,) \(hex(tuned[2].bytes))
        head int64 (2,) \(hex(head.bytes))
        other float64 (3,) \(String(repeating: "000000000000f03f", count: 3))

        """)
    let wrong = try python([
      "-c", make.replacing("arange(1000", with: "zeros(1000"), scratch("2.npz"),
    ])
    #expect(wrong.code == 0)
    let refused = try python([script, scratch("task.diff"), scratch("2.npz"), scratch("no.npz")])
    #expect(refused.code == 1)
    #expect(
      refused.errors == "apply_diff: tensor 'a/w' is not the one that the diff was made for\n")
    #expect(!scratch.exists("no.npz"))
  }
}
