import Kernels
import RemoteFiles
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Stores at addresses.
@Suite(.enabled(if: RemoteFile.isIncluded, "a build without the trait Network"))
struct RemoteStoreTests {
  /// Runs `body` with the fixture and a store `runs` of its base, finetune and additive diff,
  /// served below an address by modes.
  private func with(_ body: (Fixture, LoopbackServer, String) throws -> Void) throws {
    try Fixture.with { files in
      expectSuccess(try Diffkit.run("store", "init", files("runs"), files("base.h5")))
      for (name, file) in [("tuned", "tuned.h5"), ("task", "add.diff")] {
        expectSuccess(
          try Diffkit.run("store", "add", files("runs"), files(file), "--name", name))
      }
      let script = Repository.path + "/Tests/RemoteFilesTests/servers.py"
      try LoopbackServer.with([script, files.folder.path]) { server in
        try body(files, server, "http://127.0.0.1:\(server.port)")
      }
    }
  }

  @Test(
    "a store on a server is read as one in a folder is",
    arguments: ["plain", "whole"])
  func reading(_ mode: String) throws {
    try with { files, _, server in
      let (store, address) = (files("runs"), "\(server)/\(mode)/runs")
      for command in [["log"], ["log", "--json"], ["check"], ["check", "--rebuild", "--json"]] {
        let here = try Diffkit.run(["store", command[0], store] + command.dropFirst())
        let there = try Diffkit.run(["store", command[0], address] + command.dropFirst())
        #expect(there.code == 0 && there.errors == "")
        #expect(
          there.output.replacing(address, with: "") == here.output.replacing(store, with: ""))
      }
      let served = files("served.h5")
      expectSuccess(try Diffkit.run("store", "get", address, "base", "-o", served))
      #expect(try files.sameTensors("served.h5", "base.h5"))
      for (name, cache) in [
        ("tuned", []), ("task", ["--cache", files("cache")]),
        ("base", ["--cache", files("cache")]), ("task", ["--cache", files("cache")]),
      ] {
        expectSuccess(
          try Diffkit.run(["store", "switch", address, served, name, "--in-place"] + cache),
          "'\(name)'")
        expectSuccess(
          try Diffkit.run("store", "get", store, name, "-o", files("want.h5"), "--force"))
        #expect(try files.sameTensors("served.h5", "want.h5"))
      }
    }
  }

  @Test(
    "nginx serves a store, and a follower of it sees every step",
    .enabled(if: LoopbackServer.hasNginx, "no nginx"))
  func nginx() throws {
    try with { files, _, _ in
      let script = Repository.path + "/Tests/RemoteFilesTests/nginx_server.py"
      try LoopbackServer.with([script, files.folder.path]) { server in
        let (address, local) = ("http://127.0.0.1:\(server.port)/runs", files("local"))
        expectSuccess(try Diffkit.run("store", "check", address, "--rebuild"), "sound")
        expectSuccess(try Diffkit.run("store", "fetch", address, "tuned", "--to", local))
        for (number, name) in ["base.h5", "tuned.h5", "base.h5"].enumerated() {
          expectSuccess(
            try Diffkit.run(
              "store", "add", files("runs"), files(name), "--name", "step-\(number)"))
          expectSuccess(
            try Diffkit.run("store", "fetch", address, "step-\(number)", "--to", local))
          expectSuccess(
            try Diffkit.run(
              "store", "get", local, "step-\(number)", "-o", files("got.h5"), "--force"))
          #expect(try files.sameTensors("got.h5", name))
        }
      }
    }
  }

  @Test("what a cache has does not come again, and what was needed for a while is gone")
  func cache() throws {
    try with { files, server, address in
      func fetches() throws -> Int {
        let log = try Diffkit.log(server)
        return log.count { $0.contains("/links/") || $0.contains("/anchors/") }
      }
      for round in 0..<2 {
        expectSuccess(
          try Diffkit.run(
            "store", "get", "\(address)/named/runs", "tuned", "-o", files("got\(round).h5"),
            "--cache", files("cache")))
        #expect(try files.sameTensors("got\(round).h5", "tuned.h5"))
      }
      let once = try fetches()
      // Twice for each of three files: the beginning, and the rest; small ones come at once.
      #expect((3...6).contains(once))
      let temporary = files("temporary")
      try makeFolder(temporary)
      let program = "TMPDIR=\"$1\" exec \"$2\" store get \"$3\" tuned -o \"$4\""
      expectSuccess(
        Answer(
          try .run(
            "sh",
            [
              "-c", program, "sh", temporary, Diffkit.path, "\(address)/named/runs",
              files("got2.h5"),
            ])))
      #expect(try fetches() == 2 * once)
      #expect(try Folder.names(temporary) == [])
    }
  }

  @Test("a fetch brings what is missing, and follows until it is ended")
  func fetch() throws {
    try with { files, _, server in
      let (address, local) = ("\(server)/plain/runs", files("local"))
      expectSuccess(
        try Diffkit.run("store", "fetch", address, "tuned", "--to", local), "1 anchor and 1 link")
      expectSuccess(
        try Diffkit.run("store", "fetch", address, "tuned", "--to", local), "there already")
      expectSuccess(try Diffkit.run("store", "check", local, "--rebuild"), "sound")
      let schema = try JSONSchema(Repository.path + "/spec/output.schema.json")
      let answer = try Diffkit.run("store", "fetch", address, "task", "--to", local, "--json")
      #expect(schema.faults(try JSONValue(parsing: Array(answer.output.utf8)), "store-fetch") == [])
      // While it watches, a step is added from this one, and one that does not come from it.
      let program = """
        "$1" store fetch "$2" tuned --to "$3" --watch --every 0.05 >"$4/log" 2>&1 & pid=$!
        "$1" store add "$5" "$4/base.h5" --name other --parent task >/dev/null
        "$1" store add "$5" "$4/base.h5" --name next --parent tuned >/dev/null
        for n in $(seq 200); do
          grep -q "'next'" "$4/log" && break
          sleep 0.05
        done
        kill $pid
        cat "$4/log"
        """
      let watched = Answer(
        try .run(
          "sh",
          [
            "-c", program, "sh", Diffkit.path, address, local, files.folder.path, files("runs"),
          ]))
      #expect(watched.output.contains("'tuned', there already"))
      #expect(watched.output.contains("'next', 1 link"))
      #expect(!watched.output.contains("'other'"))
      expectSuccess(try Diffkit.run("store", "check", local, "--rebuild"), "4 versions")
      expectSuccess(
        try Diffkit.run("store", "get", local, "next", "-o", files("next.h5")))
      #expect(try files.sameTensors("next.h5", "base.h5"))
    }
  }

  /// Runs `store fetch --watch` of the base while a program does something; `log` is its output.
  private func watch(
    _ files: Fixture, _ address: String, until program: String
  ) throws -> String {
    let script = """
      log=$3/log
      await() {
        for n in $(seq 1200); do grep -q "$1" "$log" && return; sleep 0.05; done
      }
      "$1" store fetch "$2" base --to "$3/local" --watch --every 0.05 >"$log" 2>&1 & pid=$!
      \(program)
      kill $pid
      cat "$log"
      """
    return Answer(
      try .run("sh", ["-c", script, "sh", Diffkit.path, address, files.folder.path])
    ).output
  }

  @Test("a late follower gets the versions that are there already, each after its parent")
  func lateFollower() throws {
    try with { files, _, server in
      expectSuccess(
        try Diffkit.run(
          "store", "add", files("runs"), files("base.h5"), "--name", "next", "--parent", "tuned"))
      let log = try watch(files, "\(server)/plain/runs", until: "await \"'next'\"")
      for line in ["'base', 1 anchor", "'tuned', 1 link", "'task', 1 link", "'next', 1 link"] {
        #expect(log.contains(line), "\(log)")
      }
      expectSuccess(try Diffkit.run("store", "check", files("local"), "--rebuild"), "4 versions")
      // What is there is not reported again.
      try remove(files("log"))
      let again = try watch(
        files, "\(server)/plain/runs",
        until: """
          "$1" store add "$3/runs" "$3/base.h5" --name last --parent next >/dev/null
          await "'last'"
          """)
      #expect(again.contains("'base', there already") && !again.contains("'tuned'"), "\(again)")
    }
  }

  @Test("a follower outlives an outage of the server, and says once that there is one")
  func outage() throws {
    try with { files, _, server in
      let log = try watch(
        files, "\(server)/outage/runs",
        until: """
          await "'task'"
          : >"$3/outage"
          await "still watching"
          "$1" store add "$3/runs" "$3/base.h5" --name next --parent tuned >/dev/null
          rm "$3/outage"
          await "'next'"
          await "watching again"
          """)
      #expect(log.contains("'next', 1 link"), "\(log)")
      #expect(log.split(separator: "\n").count { $0.contains("still watching") } == 1, "\(log)")
      #expect(log.split(separator: "\n").count { $0.contains("watching again") } == 1, "\(log)")
    }
  }

  @Test("100 connections of a fetch that are cut at random bytes: each byte arrives once")
  func cuts() throws {
    try Scratch.with { scratch in
      var random = SplitMix64(seed: TestSeed.value &+ 121)
      let model = try BigModel(scratch, &random, elements: 4_000_000)
      expectSuccess(try Diffkit.run("store", "init", scratch("runs"), model.base))
      expectSuccess(
        try Diffkit.run("store", "add", scratch("runs"), model.tuned, "--name", "tuned"))
      let script = Repository.path + "/Tests/RemoteFilesTests/servers.py"
      try LoopbackServer.with([script, scratch.path]) { server in
        let address = "http://127.0.0.1:\(server.port)/cutting_store/runs"
        expectSuccess(
          try Diffkit.run("store", "fetch", address, "tuned", "--to", scratch("local")))
        expectSuccess(try Diffkit.run("store", "check", scratch("local"), "--rebuild"), "sound")
        let log = try Diffkit.log(server)
        #expect(log.count { $0.hasPrefix("cut ") } == 100)
        let sent = log.compactMap { line in line.split(separator: " ").last.flatMap { Int($0) } }
        var size = 0
        for folder in ["anchors", "links"] {
          for name in try Folder.names(scratch("local/\(folder)")) where !name.hasSuffix(".json") {
            size += Int(try File(scratch("local/\(folder)/\(name)")).size)
          }
        }
        size += Int(try File(scratch("runs/store.json")).size)
        let total = sent.reduce(0, +)
        #expect(total >= size)
        #expect(Double(total) <= 1.02 * Double(size))
        print("store fetch, 100 cuts: \(total) bytes sent for \(size)")
      }
    }
  }

  @Test(
    "a server that lies is refused by name, in little memory, and nothing is left",
    arguments: [
      "more", "header", "unsized", "endless_error", "huge", "shifted", "dripping", "to_file",
      "to_http", "nowhere", "packed", "denied", "short_files", "long_files", "huge_files",
      "endless_files", "swapped_files", "unranged_files", "huge_whole", "huge_whole_files",
      "to_http_files", "to_file_files",
    ])
  func hostile(_ mode: String) throws {
    try with { files, _, server in
      let address = "\(server)/\(mode)/runs"
      try write(files.bytes("base.h5"), toFile: files("served.h5"))
      let before = try files.folder.names
      for arguments in [
        ["get", address, "tuned", "-o", files("got.h5")],
        ["switch", address, files("served.h5"), "tuned", "--in-place"],
        ["fetch", address, "tuned", "--to", files("local")],
      ] {
        let answer = try Diffkit.runInLittleMemory(["store"] + arguments)
        expectTrouble(answer, address)
        // A folder that was made may stay; a store is none.
        #expect(
          try files.folder.names.filter { $0 != "local" && !$0.hasSuffix("fingerprints") }
            == before)
        #expect(!File.exists(files("local/store.json")))
        #expect(try files.sameTensors("served.h5", "base.h5"))
      }
    }
  }

  @Test("what cannot be done at an address is refused")
  func refusals() throws {
    try with { files, _, server in
      let address = "\(server)/plain/runs"
      expectTrouble(
        try Diffkit.run("store", "add", address, files("tuned.h5"), "--name", "x"), "read only")
      expectTrouble(try Diffkit.run("store", "rename", address, "task", "x"), "read only")
      expectTrouble(
        try Diffkit.run("store", "init", "\(server)/plain/other", files("base.h5")), "read only")
      expectTrouble(try Diffkit.run("store", "prune", address), "not a folder")
      expectTrouble(try Diffkit.run("store", "log", "\(server)/plain/nothing"), "is not a store")
      expectTrouble(try Diffkit.run("store", "log", "http://127.0.0.1:1/x", "--timeout", "1"))
    }
  }
}

extension Diffkit {
  /// The lines that `servers.py` has noted.
  static func log(_ server: LoopbackServer) throws -> [Substring] {
    let address = try #require(RemoteAddress("http://127.0.0.1:\(server.port)"))
    let log = try #require(try RemoteFolder(address).contents(of: "log"))
    return String(decoding: log.bytes, as: UTF8.self).split(separator: "\n")
  }
}
