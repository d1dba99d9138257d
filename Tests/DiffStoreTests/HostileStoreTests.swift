import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Stores that somebody else has written, or damaged.
@Suite struct HostileStoreTests {
  /// A store of a base and two steps, and what its index says.
  private func with(
    seed: UInt64, _ body: (inout StoreFolder, Store, [[MemoryTensor]], String) throws -> Void
  ) throws {
    try StoreFolder.with(seed: seed) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      let one = folder.step(base)
      let two = folder.step(one)
      try store.add(one, "one", in: folder)
      try store.add(two, "two", in: folder)
      let text = String(
        decoding: try contents(ofFile: folder("store/store.json")), as: UTF8.self)
      try body(&folder, store, [base, one, two], text)
    }
  }

  private func write(_ text: String, _ folder: StoreFolder) throws {
    try? remove(folder("store/store.json"))
    try TestSupport.write(Array(text.utf8), toFile: folder("store/store.json"))
  }

  private func refusal(_ body: () throws -> Void) -> DiffError? {
    #expect(throws: DiffError.self) { try body() }
  }

  @Test("an index that breaks a rule is refused, with the version that does")
  func indices() throws {
    try with(seed: 11) { folder, store, _, text in
      let changes: [(String, String, String)] = [
        (#""diffkit-store":1"#, #""diffkit-store":2"#, "version 2"),
        (#""diffkit-store":1,"#, "", "not the index"),
        (#""parent":"base""#, #""parent":"two""#, "not an earlier version"),
        (#""parent":"one""#, #""parent":"two""#, "not an earlier version"),
        (#""parent":"one""#, #""parent":"gone""#, "not an earlier version"),
        (#""name":"two""#, #""name":"one""#, "occurs twice"),
        (#""name":"two""#, #""name":"../two""#, "is not a valid name"),
        (#""name":"two""#, #""name":"..""#, "is not a valid name"),
        (#""name":"two""#, #""name":"a\u001b[31m""#, "is not a valid name"),
        (#""name":"two""#, #""name":"a/b""#, "is not a valid name"),
        (#""name":"two""#, #""name":"""#, "is not a valid name"),
        (#""parent":"one","#, "", "a parent without a link"),
        (#""kind":"exact""#, #""kind":"other""#, "'kind'"),
        (#""anchor-share":100.0"#, #""anchor-share":0"#, "out of range"),
        (#""generation":3"#, #""generation":18446744073709551615"#, "out of range"),
        (#""folder":false"#, #""folder":true"#, "'name'"),
        (#""sha256":""#, #""sha256":"x"#, "'sha256'"),
        (#""size":"#, #""size":-"#, "'size'"),
        (#""time":"#, #""time":"x","was":"#, "'time'"),
      ]
      for (old, new, reason) in changes {
        #expect(text.contains(old), "\(old)")
        try write(text.replacing(old, with: new, maxReplacements: 1), folder)
        let error = refusal { _ = try Store(folder("store")) }
        #expect(error?.description.contains(reason) == true, "\(new): \(String(describing: error))")
        #expect(error?.path?.hasSuffix("store.json") == true)
      }
      let file = #"{"size":1,"sha256":"\#(String(repeating: "0", count: 64))","name":"NAME"}"#
      for (names, reason) in [(["../x"], "not a path below"), (["x", "x"], "occurs twice")] {
        let model = names.map { file.replacing("NAME", with: $0) }.joined(separator: ",")
        try write(text.replacing("\"versions\"", with: "\"model\":[\(model)],\"versions\""), folder)
        let error = refusal { _ = try Store(folder("store")) }
        #expect(error?.description.contains(reason) == true, "\(names)")
      }
      let anchor = try #require(store.index.versions[0].anchor)
      for name in ["../../x", "a/b", "/etc/passwd", "", "..", "x\u{2F}\u{301}"] {
        try write(text.replacing(anchor.name, with: name), folder)
        #expect(refusal { _ = try Store(folder("store")) }?.code == .malformed, "\(name)")
      }
    }
  }

  @Test("files of a folder's anchor do not leave it")
  func paths() throws {
    try StoreFolder.with(seed: 12) { folder in
      let base = folder.model()
      try folder.write("base.safetensors", base)
      let file = #"{"size":1,"sha256":"\#(String(repeating: "0", count: 64))","name":"NAME"}"#
      let text = """
        {"diffkit-store":1,"generation":1,"anchor-share":0.5,"anchor-links":9,"versions":[
        {"name":"base","checkpoint":"\(String(repeating: "0", count: 32))","time":1,
        "anchor":{"name":"x","folder":true,"files":[\(file)]}}]}
        """
      try Folder.create(folder("store"))
      // A combining character makes another character of the slash, but no other byte.
      let names = [
        "../x", "a/../../x", "/x", "a//b", ".", "..", "", "a/./b", "a/..\u{2F}\u{301}/../../x",
      ]
      for name in names {
        try write(text.replacing("NAME", with: name), folder)
        #expect(refusal { _ = try Store(folder("store")) }?.code == .malformed, "\(name)")
      }
      for name in ["a/b", "...", ".a"] {
        try write(text.replacing("NAME", with: name), folder)
        _ = try Store(folder("store"))
      }
    }
  }

  @Test("sizes that add up to more than a number holds are problems, not the end of the program")
  func sizes() throws {
    try with(seed: 17) { folder, store, _, text in
      var text = text
      for file in store.index.versions.flatMap({ [$0.link?.file, $0.anchor?.files[0]] }) {
        guard let file else { continue }
        text.replace("\"size\":\(file.size),", with: "\"size\":\(UInt64.max - 1),")
      }
      try write(text, folder)
      let report = try Store(folder("store")).check()
      #expect(report.problems.count == 3)
      #expect(report.bytes == .max)
    }
  }

  @Test("a million versions are refused before they are parsed")
  func many() throws {
    try StoreFolder.with(seed: 13) { folder in
      try Folder.create(folder("store"))
      let row = #"{"name":"v","checkpoint":"","time":1},"#
      let text =
        #"{"diffkit-store":1,"versions":["#
        + String(repeating: row, count: 1_000_000) + "]}"
      try write(text, folder)
      #expect(refusal { _ = try Store(folder("store")) }?.code == .limit)
    }
  }

  @Test("a file that is not the one of the index is refused by name, whatever asks for it")
  func damaged() throws {
    try with(seed: 14) { folder, store, models, _ in
      let folder = folder
      let link = try #require(store.index["two"]?.link)
      let path = folder("store/links/\(link.file.name)")
      let whole = try contents(ofFile: path)
      let served = try folder.write("served.safetensors", models[0])
      for change in 0..<3 {
        var bytes = whole
        switch change {
        case 0: bytes[bytes.count / 2] ^= 1
        case 1: bytes.removeLast()
        default: bytes = try contents(ofFile: folder("base.safetensors"))
        }
        try remove(path)
        try TestSupport.write(bytes, toFile: path)
        let opened = try Store(folder("store"))
        #expect(try opened.problems(rebuilding: false).count == 1)
        for body in [
          { _ = try opened.get("two", to: folder("two.safetensors")) },
          { _ = try opened.switch(CheckpointFile.open(served), to: "two") },
          { _ = try opened.checkpoint(of: "two") },
        ] as [() throws -> Void] {
          let error = refusal(body)
          #expect(error?.code == .checksum)
          #expect(error?.path?.hasSuffix(link.file.name) == true)
        }
        #expect(try folder.holds(served, models[0]))
      }
      try remove(path)
      #expect(
        refusal { _ = try Store(folder("store")).get("two", to: folder("x.safetensors")) }?.code
          == .notFound)
    }
  }

  @Test("links that lie: right bytes, right hashes, another result")
  func lies() throws {
    try with(seed: 15) { folder, store, models, text in
      // The link of another step in its place, described as it is.
      let other = folder.step(models[1])
      try store.add(other, "other", parent: "one", in: folder)
      let (two, lie) = (
        try #require(store.index["two"]?.link), try #require(store.index["other"]?.link)
      )
      try write(
        text.replacing(two.identity.description, with: lie.identity.description)
          .replacing(
            "\"size\":\(two.file.size),\"sha256\":\"\(two.file.sha256)\"",
            with: "\"size\":\(lie.file.size),\"sha256\":\"\(lie.file.sha256)\""), folder)
      let opened = try Store(folder("store"))
      #expect(try opened.problems(rebuilding: false).count == 1)
      #expect(
        refusal { _ = try opened.get("two", to: folder("two.safetensors")) }?.code == .checksum)
      #expect(!File.exists(folder("two.safetensors")))
      let served = try folder.write("served.safetensors", models[0])
      #expect(
        refusal { _ = try opened.switch(CheckpointFile.open(served), to: "two") }?.code == .checksum
      )
      #expect(try folder.holds(served, models[0]))
      #expect(!File.exists(served + Journal.suffix))
    }
  }

  @Test("a diff that does not make what it says is not added")
  func lyingDiff() throws {
    try with(seed: 16) { folder, store, models, text in
      func diff(_ change: (inout DiffEntry, Int) -> Void) throws -> DiffReader {
        let honest = MemorySink()
        _ = try Diffs.create(
          from: MemoryCheckpoint(models[0]), to: MemoryCheckpoint(folder.step(models[0])),
          into: honest)
        return try DiffReader(bytes: DiffReader(bytes: honest.bytes).rewritten(change))
      }
      let before = try contents(ofFile: folder("store/store.json"))
      var options = AddOptions()
      options.parent = "base"
      let wrong = try diff { entry, number in
        if number == 0 { entry.result = entry.base }
      }
      #expect(refusal { _ = try store.add(wrong, options) }?.code == .checksum)
      let foreign = try diff { entry, number in if number == 1 { entry.base = entry.result } }
      #expect(refusal { _ = try store.add(foreign, options) }?.code == .mismatch)
      options.parent = "one"
      let elsewhere = try diff { _, _ in }
      #expect(refusal { _ = try store.add(elsewhere, options) }?.code == .mismatch)
      #expect(try contents(ofFile: folder("store/store.json")) == before)
      #expect(try store.check().unused == [])
      options.parent = nil
      #expect(try store.add(elsewhere, options).version.parent == "base")
    }
  }
}
