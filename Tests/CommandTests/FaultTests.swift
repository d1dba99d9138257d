import Checkpoints
import DiffOperations
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Devices that are full or broken, and processes that are killed, at every single call that
/// changes a file.
@Suite(.serialized, .enabled(if: Fault.library != nil, "needs a C compiler and LD_PRELOAD"))
struct FaultTests {
  /// Commands that write `out`.
  private func commands(_ files: Fixture) -> [[String]] {
    let (base, tuned, diff, out) = (files("base.h5"), files("tuned.h5"), files("exact.diff"), "out")
    return [
      ["apply", base, diff, "-o", files(out)], ["revert", tuned, diff, "-o", files(out)],
      ["apply", base, files("add.diff"), "-o", files(out), "--undo", files("undo")],
      ["create", base, tuned, "-o", files(out)],
      ["convert", base, files(out), "--format", "safetensors"],
      ["convert", base, files(out), "--format", "hdf5"],
    ]
  }

  @Test("a call that a signal interrupts is made again")
  func interruptedCalls() throws {
    try Fixture.with { files in
      for (name, last) in [("b", 2), ("t", 3)] as [(String, Float)] {
        try files.make(name, [MemoryTensor("w", .f32, littleEndian([1, last]))])
      }
      expectSuccess(try Diffkit.run("create", files("b"), files("t"), "-o", files("w.diff")))
      // EINTR.
      let fault = Fault(folder: files.folder, kind: .error(4))
      let arguments = ["apply", files("b"), files("w.diff"), "-o", files("out")]
      var call = 0
      while true {
        removeFile(files("out"))
        call += 1
        guard let child = try fault.run(arguments, at: call) else { break }
        // The system does not interrupt the call that gives the file its name.
        let text = String(decoding: child.errors, as: UTF8.self)
        #expect(child.ending == .exit(0) || text.contains("cannot create"), "\(call): \(text)")
      }
      #expect(call > 3)
    }
  }

  @Test("an output is whole under its name or not there at all", arguments: Fault.kinds)
  func outputs(kind: Fault.Kind) throws {
    try Fixture.with { files in
      for (number, arguments) in commands(files).enumerated() {
        // Three kinds of file system.
        let named = number % 3
        for name in ["out", "undo"] { removeFile(files(name)) }
        let whole = try ChildProcess.run(Diffkit.path, arguments)
        #expect(whole.ending == .exit(0))
        let right = try (files.bytes("out"), files.folder.exists("undo") ? files.bytes("undo") : [])
        let inputs = try Fixture.names.map { try files.bytes($0) }
        var call = 0
        while true {
          for name in ["out", "undo"] { removeFile(files(name)) }
          call += 1
          let fault = Fault(folder: files.folder, kind: kind, named: named)
          guard let child = try fault.run(arguments, at: call) else { break }
          let what: Comment = "\(kind) at call \(call) of \(arguments)"
          let names = try files.folder.names
          // A killed process leaves hidden files at most, where they need a name.
          for name in names where !Fixture.names.contains(name) && !["out", "undo"].contains(name) {
            #expect(name.hasPrefix(".") && name.hasSuffix(".diffkit-tmp"), what)
            #expect(child.ending == .signal(9), what)
            removeFile(files(name))
          }
          if names.contains("out") { #expect(try files.bytes("out") == right.0, what) }
          if names.contains("undo") { #expect(try files.bytes("undo") == right.1, what) }
          #expect(try Fixture.names.map { try files.bytes($0) } == inputs, what)
          if child.ending == .signal(9) {
            #expect(kind == .kill, what)
          } else if child.ending == .exit(0) {
            // The command succeeded without that call, or it was the helper's and not needed.
            #expect(names.contains("out"), what)
          } else {
            // The helper was killed.
            expectTrouble(Answer(child))
            #expect(names == Fixture.names, what)
          }
        }
        #expect(call > 4)
      }
    }
  }

  /// A safetensors twin of the fixture's base, and a folder of two files.
  private func prepare(_ files: Fixture) throws {
    let base = try CheckpointFile.open(files("base.h5"))
    _ = try base.convert(to: files("base.safetensors"), .safetensors)
  }

  @Test(
    "a checkpoint changed in place is old or new, or is refused until it is recovered",
    arguments: Fault.kinds)
  func inPlace(kind: Fault.Kind) throws {
    try Fixture.with { files in
      try prepare(files)
      for (source, command) in [
        ("base.h5", ["apply"]), ("tuned.h5", ["revert"]), ("base.safetensors", ["apply"]),
        ("base.h5", ["apply", "--undo", files("undo")]),
      ] {
        let old = try files.bytes(source)
        let arguments = command + [files("x"), files("exact.diff"), "--in-place"]
        for name in ["x", "undo"] { removeFile(files(name)) }
        try write(old, toFile: files("x"))
        #expect(try ChildProcess.run(Diffkit.path, arguments).ending == .exit(0))
        let new = try files.bytes("x")
        #expect(new != old)
        var call = 0
        var interrupted = 0
        while true {
          for name in ["x", "undo"] { removeFile(files(name)) }
          try write(old, toFile: files("x"))
          call += 1
          guard let child = try Fault(folder: files.folder, kind: kind).run(arguments, at: call)
          else { break }
          let what: Comment = "\(kind) at call \(call) of \(arguments)"
          if kind == .kill { #expect(child.ending == .signal(9), what) }
          if child.ending == .exit(2) { expectTrouble(Answer(child)) }
          guard files.folder.exists("x" + Journal.suffix) else {
            let found = try files.bytes("x")
            #expect(found == old || found == new, what)
            if child.ending == .exit(2) { #expect(found == old, what) }
            if child.ending == .exit(0) { #expect(found == new, what) }
            continue
          }
          interrupted += 1
          #expect(child.ending != .exit(0), what)
          if child.ending == .exit(2) { #expect(Answer(child).errors.contains("diffkit recover")) }
          try expectRecovery(files, new, what, everyCall: call % 7 == 0)
          // The completed change can be undone.
          #expect(files.folder.exists("undo") == command.contains("--undo"), what)
        }
        #expect(call > 6)
        if kind == .kill || kind == .lasting(28) { #expect(interrupted > 0) }
      }
    }
  }

  @Test(
    "files of a folder that are replaced are all old or all new, or are refused until recovered",
    arguments: Fault.kinds)
  func replaced(kind: Fault.Kind) throws {
    try Fixture.with { files in
      let (parts, index) = (["a.safetensors", "b.safetensors"], "model.safetensors.index.json")
      let map = parts.map { #""\#($0.prefix(1))":"\#($0)""# }.joined(separator: ",")
      for (folder, value) in [("old", 1), ("new", 200)] as [(String, UInt8)] {
        try makeFolder(files(folder))
        for part in parts {
          let bytes = [UInt8](repeating: value, count: 9 << 20)
          try files.make(
            "\(folder)/\(part)", [MemoryTensor(TensorName(String(part.prefix(1))), .u8, bytes)])
        }
        try write(Array(#"{"weight_map":{\#(map)}}"#.utf8), toFile: files("\(folder)/\(index)"))
      }
      let diff = files("dense.diff")
      expectSuccess(try Diffkit.run("create", files("old"), files("new"), "-o", diff))
      func contents(_ folder: String) throws -> [[UInt8]] {
        try parts.map { try files.bytes("\(folder)/\($0)") }
      }
      let (old, new) = (try contents("old"), try contents("new"))
      var (call, interrupted) = (0, 0)
      while true {
        _ = try ChildProcess.run("rm", ["-rf", files("m")])
        _ = try ChildProcess.run("cp", ["-r", files("old"), files("m")])
        call += 1
        let arguments = ["apply", files("m"), diff, "--in-place"]
        guard let child = try Fault(folder: files.folder, kind: kind).run(arguments, at: call)
        else { break }
        let what: Comment = "\(kind) at call \(call)"
        if kind == .kill { #expect(child.ending == .signal(9), what) }
        if try Folder.names(files("m")).contains(where: { $0.hasSuffix(Journal.suffix) }) {
          interrupted += 1
          #expect(child.ending != .exit(0), what)
          expectTrouble(try Diffkit.run("verify", diff, files("m")), "diffkit recover")
          expectSuccess(try Diffkit.run("recover", files("m")), "completed")
          #expect(try contents("m") == new, what)
        } else {
          let found = try contents("m")
          #expect(found == old || found == new, what)
          if child.ending == .exit(2) { #expect(found == old, what) }
          // New files that a killed process left are removed.
          if kind == .kill { _ = try Diffkit.run("recover", files("m")) }
        }
        #expect(try Folder.names(files("m")) == parts + [index], what)
      }
      #expect(try contents("m") == new)
      #expect(call > 10)
      if kind == .kill { #expect(interrupted > 0) }
    }
  }

  /// Expects that an interrupted change is refused, and completed by `recover`, even if `recover`
  /// is interrupted.
  private func expectRecovery(
    _ files: Fixture, _ new: [UInt8], _ what: Comment, everyCall: Bool
  ) throws {
    expectTrouble(
      try Diffkit.run("verify", files("exact.diff"), files("x")), files("x"), "diffkit recover")
    if everyCall {
      var call = 0
      repeat {
        call += 1
        let fault = Fault(folder: files.folder, kind: .kill)
        guard let child = try fault.run(["recover", files("x")], at: call) else { break }
        #expect(child.ending == .signal(9), what)
      } while call < 100
    }
    let answer = try Diffkit.run("recover", files("x"))
    expectSuccess(answer)
    #expect(try files.bytes("x") == new, what)
    #expect(!files.folder.exists("x" + Journal.suffix), what)
  }
}
