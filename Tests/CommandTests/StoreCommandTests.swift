import Checkpoints
import DiffFormat
import DiffOperations
import Kernels
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct StoreCommandTests {
  /// A store of the fixture's base, its finetune and its additive diff.
  private func with(_ body: (Fixture, String) throws -> Void) throws {
    try Fixture.with { files in
      let store = files("runs")
      expectSuccess(try Diffkit.run("store", "init", store, files("base.h5")), "'base'")
      expectSuccess(
        try Diffkit.run("store", "add", store, files("tuned.h5"), "--name", "tuned"), "'tuned'")
      expectSuccess(
        try Diffkit.run("store", "add", store, files("add.diff"), "--name", "task"), "'task'")
      try body(files, store)
    }
  }

  @Test("a checkpoint is switched between versions; a copy without attributes is the same model")
  func round() throws {
    try with { files, store in
      let served = files("served.h5")
      expectSuccess(try Diffkit.run("store", "get", store, "base", "-o", served))
      #expect(try files.sameTensors("served.h5", "base.h5"))
      for name in ["tuned", "task", "tuned", "base"] {
        expectSuccess(try Diffkit.run("store", "switch", store, served, name, "--in-place"))
        let wanted = files("want.h5")
        expectSuccess(try Diffkit.run("store", "get", store, name, "-o", wanted, "--force"))
        #expect(try files.sameTensors("served.h5", "want.h5"))
      }
    }
  }

  @Test("no command changes a file of a store")
  func untouched() throws {
    try with { files, store in
      let anchor = store + "/anchors/" + (try #require(Folder.names(store + "/anchors").first))
      for arguments in [
        ["store", "switch", store, anchor, "tuned", "--in-place"],
        ["store", "get", store, "tuned", "-o", anchor, "--force"],
        ["apply", anchor, files("exact.diff"), "--in-place"],
        ["apply", files("base.h5"), files("exact.diff"), "-o", anchor, "--force"],
        ["convert", files("base.h5"), store + "/anchors/new.h5"],
        ["create", files("base.h5"), files("tuned.h5"), "-o", store + "/links/new.diff"],
      ] {
        expectTrouble(Answer(try .run(Diffkit.path, arguments)), "never change")
      }
      expectSuccess(try Diffkit.run("store", "check", store, "--rebuild"), "sound")
    }
  }

  @Test("the JSON output of each command matches the schema")
  func schema() throws {
    try with { files, store in
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      func expect(_ name: String, _ arguments: String..., code: Int32 = 0) throws {
        let answer = Answer(try .run(Diffkit.path, ["store"] + arguments + ["--json"]))
        #expect((answer.code, answer.errors) == (code, ""), "\(arguments)")
        let faults = schema.faults(
          try JSONValue(parsing: Array(answer.output.utf8)), name)
        #expect(faults == [], "\(arguments)")
      }
      try expect("store-version", "init", files("other"), files("base.h5"))
      try expect("store-version", "add", files("other"), files("tuned.h5"))
      try expect("store-log", "log", store)
      try expect("store-switch", "get", store, "tuned", "-o", files("got.h5"))
      try expect("store-switch", "switch", store, files("got.h5"), "task", "--in-place")
      try expect("store-check", "check", store)
      try expect("store-removal", "compact", store)
      try expect("store-removal", "prune", store, "--newest", "2")
      try expect("store-rename", "rename", store, "task", "sms")
      try expect("store-removal", "remove", store, "tuned")
      for folder in ["links", "anchors"] {
        for name in try Folder.names("\(store)/\(folder)") {
          try remove("\(store)/\(folder)/\(name)")
        }
      }
      try expect("store-check", "check", store, code: 2)
    }
  }

  @Test("of two writers, one wins, the other gets an error, and the store is complete")
  func writers() throws {
    try with { files, store in
      let program = """
        for n in 1 2 3 4 5 6; do "$1" store add "$2" "$3" --name "n$n" --parent base & done; wait
        """
      let answer = Answer(
        try .run("sh", ["-c", program, "sh", Diffkit.path, store, files("tuned.h5")]))
      #expect(answer.output.contains("store") || answer.output.contains("'n"))
      expectSuccess(try Diffkit.run("store", "check", store, "--rebuild"), "sound")
      for line in answer.errors.split(separator: "\n") {
        #expect(line.contains("is being changed by another process"), "\(line)")
      }
    }
  }

  @Test("an index of 30 MB that claims much is refused in little memory", arguments: 0..<4)
  func claims(_ kind: Int) throws {
    try Fixture.with { files in
      try makeFolder(files("runs"))
      let (element, reason) = [
        ("1,", "version 1: 'name'"), (#"{"name":"v"},"#, "version 1: 'checkpoint'"),
        (#"[[],{"a":[]}],"#, "version 1: 'name'"), ("1,", "more JSON values"),
      ][kind]
      var rows = String(repeating: element, count: 30_000_000 / element.utf8.count) + "1"
      if kind == 3 { rows = #"{"name":"v","anchor":{"files":["# + rows + "]}}" }
      let text =
        #"{"diffkit-store":1,"generation":1,"anchor-share":0.5,"anchor-links":9,"versions":["#
        + rows + "]}"
      try write(Array(text.utf8), toFile: files("runs/store.json"))
      expectTrouble(try Diffkit.runInLittleMemory("store", "log", files("runs")), reason)
    }
  }

  @Test("numbers of an index that no program can show or add up are no crash")
  func hostileNumbers() throws {
    try with { files, store in
      expectSuccess(
        try Diffkit.run(
          "store", "add", store, files("tuned.h5"), "--parent", "tuned", "--meta",
          "score.a=999999999999999", "--meta", "score.b=-1e300", "--meta", "score.c=nan"))
      expectSuccess(try Diffkit.run("store", "log", store), "scores")
      let path = store + "/store.json"
      let text = String(decoding: try contents(ofFile: path), as: UTF8.self)
      try remove(path)
      let huge = text.replacing(#""size":"#, with: #""size":18446744073709551615,"was":"#)
      try write(Array(huge.utf8), toFile: path)
      expectSuccess(try Diffkit.run("store", "log", store), "full copies")
      #expect(try Diffkit.run("store", "check", store).code == 2)
    }
  }

  @Test("a tree of 1 600 versions of 4 000 tensors is checked in little memory")
  func largeCheck() throws {
    try Fixture.with { files in
      let tensors = (0..<4000).map {
        MemoryTensor(TensorName("tensor.\($0)"), .u8, [UInt8($0 % 251)])
      }
      var tuned = tensors
      tuned[0] = MemoryTensor("tensor.0", .u8, [7])
      try files.make("base.safetensors", tensors)
      try files.make("tuned.safetensors", tuned)
      let store = files("runs")
      expectSuccess(
        try Diffkit.run("store", "init", store, files("base.safetensors"), "--anchor-share", "1e9"))
      for (name, file) in [("odd", "tuned"), ("even", "base")] {
        expectSuccess(
          try Diffkit.run("store", "add", store, files("\(file).safetensors"), "--name", name))
      }
      let path = store + "/store.json"
      let text = String(decoding: try contents(ofFile: path), as: UTF8.self)
      var rows = text.replacing("\n]}", with: "")
      let lines = text.split(separator: "\n")
      let odd = String(try #require(lines.first { $0.contains(#""name":"odd""#) }).dropLast())
      let even = String(try #require(lines.first { $0.contains(#""name":"even""#) }))
      func add(_ name: String, _ parent: String, isOdd: Bool) {
        rows += ",\n"
        rows += (isOdd ? odd : even)
          .replacing(isOdd ? #""name":"odd""# : #""name":"even""#, with: "\"name\":\"\(name)\"")
          .replacing(
            isOdd ? #""parent":"base""# : #""parent":"odd""#, with: "\"parent\":\"\(parent)\"")
      }
      // A chain, and then a child of each of its versions.
      for number in 1...800 {
        add("\(number)", number == 1 ? "even" : "\(number - 1)", isOdd: number % 2 == 1)
      }
      for number in 1...800 { add("child-\(number)", "\(number)", isOdd: number % 2 == 0) }
      try remove(path)
      try write(Array((rows + "\n]}\n").utf8), toFile: path)
      expectSuccess(
        try Diffkit.runInLittleMemory("store", "check", store), "sound; 1 603 versions")
    }
  }

  @Test("the sample: one process appends steps, another follows")
  func sample() throws {
    try Fixture.with { files in
      var random = SplitMix64(seed: TestSeed.value &+ 61)
      try files.make(
        "model.safetensors",
        [MemoryTensor("a", .u8, random.bytes(5000)), MemoryTensor("b", .u8, random.bytes(70))])
      expectSuccess(
        try Diffkit.run("store", "init", files("runs"), files("model.safetensors")))
      // The follower ends after three steps, wherever among them all it began.
      let program = """
        timeout 60 "$1" follow "$2" 3 >"$3" & follower=$!
        timeout 60 "$1" append "$2" 20 && wait $follower && cat "$3"
        """
      let answer = Answer(
        try .run(
          "sh", ["-c", program, "sh", Diffkit.besides("FollowStore"), files("runs"), files("log")]))
      expectSuccess(answer, "added step-20", "2 tensors, prepared in")
      expectSuccess(
        try Diffkit.run("store", "check", files("runs"), "--rebuild"), "sound; 21 versions")
    }
  }

  @Test("a log of 10 000 versions is read at once")
  func longLog() throws {
    try with { files, store in
      let path = store + "/store.json"
      let text = String(decoding: try contents(ofFile: path), as: UTF8.self)
      let lines = text.split(separator: "\n")
      let row = String(try #require(lines.first { $0.contains("\"name\":\"tuned\"") }).dropLast())
      var rows = text.replacing("\n]}", with: "")
      for number in 1...10_000 {
        let parent = number == 1 ? "task" : "step-\(number - 1)"
        rows += ",\n"
        rows += row.replacing("\"name\":\"tuned\"", with: "\"name\":\"step-\(number)\"")
          .replacing("\"parent\":\"base\"", with: "\"parent\":\"\(parent)\"")
      }
      try remove(path)
      try write(Array((rows + "\n]}\n").utf8), toFile: path)
      let log = try ChildProcess.run(Diffkit.path, ["store", "log", store])
      #expect(log.ending == .exit(0))
      #expect(String(decoding: log.output, as: UTF8.self).contains("step-10000"))
      print("store log of 10 003 versions: \(log.seconds) s")
    }
  }
}
