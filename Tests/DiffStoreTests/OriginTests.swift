import Checkpoints
import DiffStore
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// Stores that are elsewhere, and what is brought from them.
@Suite struct OriginTests {
  /// A store of a base, four steps and a task upon the second, with its models.
  private func with(
    seed: UInt64,
    _ body: (inout StoreFolder, Store, [String: [MemoryTensor]], FolderOrigin) throws -> Void
  ) throws {
    try StoreFolder.with(seed: seed) { folder in
      var models = ["base": folder.model()]
      let store = try folder.store(try #require(models["base"]), share: 100)
      for (name, parent) in [
        ("1", "base"), ("2", "1"), ("3", "2"), ("4", "3"), ("task", "2"),
      ] {
        models[name] = folder.step(try #require(models[parent]))
        try store.add(try #require(models[name]), name, parent: parent, in: folder)
      }
      try body(&folder, store, models, FolderOrigin(folder("store")))
    }
  }

  private func refusal(_ body: () throws -> Void) -> DiffError? {
    #expect(throws: DiffError.self) { try body() }
  }

  @Test("what a switch needs comes, once, and no more")
  func needed() throws {
    try with(seed: 41) { folder, _, models, origin in
      let served = try folder.write("served.safetensors", try #require(models["1"]))
      let store = try Store(origin, keptIn: folder("kept"))
      #expect(origin.fetched.withLock { $0 } == [])
      _ = try store.switch(CheckpointFile.open(served), to: "task")
      #expect(try folder.holds(served, try #require(models["task"])))
      let links = try ["2", "task"].map { try #require(store.index[$0]?.link).file.name }
      #expect(origin.fetched.withLock { Set($0) } == Set(links.map { "links/\($0)" }))
      // Another process with the same folder brings nothing.
      let again = try Store(origin, keptIn: folder("kept"))
      _ = try again.switch(CheckpointFile.open(served), to: "1")
      #expect(origin.fetched.withLock { $0.count } == 2)
      for (name, model) in models {
        _ = try again.get(name, to: folder("got.safetensors"), overwriting: true)
        #expect(try folder.holds(folder("got.safetensors"), model))
      }
      #expect(try again.problems() == [])
      let follower = try Follower(again, at: "base")
      try follower.prepare("4")
      #expect(try follower.commit().name == "4")
    }
  }

  @Test("what is not the file of the index is refused by its name elsewhere, and not kept")
  func lies() throws {
    try with(seed: 42) { folder, _, models, origin in
      let served = try folder.write("served.safetensors", try #require(models["1"]))
      let store = try Store(origin, keptIn: folder("kept"))
      let link = "links/" + (try #require(store.index["2"]?.link)).file.name
      let whole = try contents(ofFile: folder("store/" + link))
      var flipped = whole
      flipped[whole.count / 2] ^= 1
      for lie in [flipped, Array(whole.dropLast()), [], whole + [0]] {
        origin.lies.withLock { $0[link] = lie }
        let error = refusal { _ = try store.switch(CheckpointFile.open(served), to: "2") }
        #expect(error?.code == .checksum)
        #expect(error?.path == "elsewhere/" + link)
        #expect(try Folder.names(folder("kept/links")) == [])
        #expect(try folder.holds(served, try #require(models["1"])))
        let other = refusal { _ = try Store.fetch("2", from: store, to: folder("local")) }
        #expect(other?.path == "elsewhere/" + link)
        #expect(!File.exists(folder("local/store.json")))
      }
      #expect(try store.problems().count == 4)
      origin.lies.withLock { $0 = [:] }
      // What was damaged here comes once more.
      _ = try store.switch(CheckpointFile.open(served), to: "2")
      try remove(folder("kept/" + link))
      try write(flipped, toFile: folder("kept/" + link))
      let again = try Store(origin, keptIn: folder("kept"))
      _ = try again.get("2", to: folder("got.safetensors"))
      #expect(try folder.holds(folder("got.safetensors"), try #require(models["2"])))
      // A table that lies is none.
      let table = try #require(store.index["base"]?.anchor).name + ".tensors.json"
      origin.lies.withLock { $0["anchors/" + table] = Array("{\"tensors\":{}}".utf8) }
      let third = try Store(origin, keptIn: folder("third"))
      _ = try third.get("2", to: folder("third.safetensors"))
    }
  }

  @Test("versions are added elsewhere; of two writers one gives up, and loses nothing")
  func writers() throws {
    try StoreFolder.with(seed: 43) { folder in
      let base = folder.model()
      let path = try folder.write("base.safetensors", base)
      let origin = FolderOrigin(folder("far"))
      func create() throws -> Store {
        try Store.create(
          at: origin, keptIn: folder("kept"), base: CheckpointFile.open(path), named: "base",
          metadata: [:], anchorShare: 100, anchorLinks: 1000)
      }
      let store = try create()
      #expect(refusal { _ = try create() }?.code == .exists)
      let one = folder.step(base)
      try store.add(one, "1", in: folder)
      // Another one adds a version in the last moment.
      let other = try Store(FolderOrigin(folder("far")), keptIn: folder("other"))
      let two = folder.step(one)
      let theirs = try folder.write("theirs.safetensors", folder.step(one))
      origin.interference.withLock {
        $0 = {
          var options = AddOptions()
          options.name = "theirs"
          options.parent = "1"
          _ = try other.add(CheckpointFile.open(theirs), options)
        }
      }
      let lost = refusal { try store.add(two, "2", parent: "1", in: folder) }
      #expect(lost?.code == .changed)
      #expect(lost?.path == "elsewhere")
      try store.add(two, "2", parent: "1", in: folder)
      try store.rename("2", to: "two")
      _ = try store.remove("1")
      let seen = try Store(folder("far"))
      #expect(seen.index.versions.map(\.name) == ["base", "theirs", "two"])
      #expect(try seen.problems() == [])
      _ = try seen.get("two", to: folder("got.safetensors"))
      #expect(try folder.holds(folder("got.safetensors"), two))
      #expect(refusal { _ = try store.prune() }?.code == .unsupported)
    }
  }

  @Test("a version is fetched with what is not there, and the folder is a store of its own")
  func fetched() throws {
    try with(seed: 44) { folder, far, models, origin in
      let source = try Store(origin, keptIn: folder("kept"))
      let local = folder("local")
      let first = try Store.fetch("3", from: source, to: local)
      #expect(first.versions == ["base", "1", "2", "3"])
      #expect((first.anchors, first.links) == (1, 3))
      let second = try Store.fetch("task", from: source, to: local)
      #expect(second.versions == ["task"])
      #expect((second.anchors, second.links) == (0, 1))
      #expect(try Store.fetch("task", from: source, to: local).versions == [])
      // Nothing was kept besides.
      #expect(try Folder.names(folder("kept/links")) == [])
      #expect(try Folder.names(folder("kept/anchors")) == [])
      let store = try Store(local)
      #expect(try store.problems() == [])
      for name in ["base", "1", "2", "3", "task"] {
        _ = try store.get(name, to: folder("got.safetensors"), overwriting: true)
        #expect(try folder.holds(folder("got.safetensors"), try #require(models[name])))
      }
      // A new name of what is here, versions that were joined there, and one that means another here.
      try far.rename("3", to: "three")
      _ = try far.remove("1")
      try source.refresh()
      #expect(try Store.fetch("4", from: source, to: local).versions == ["4"])
      #expect(try Store(local).index["4"]?.parent == "3")
      try far.rename("base", to: "1")
      try source.refresh()
      try far.add(folder.step(try #require(models["4"])), "5", parent: "4", in: folder)
      try far.rename("5", to: "2-")
      try far.rename("2", to: "5")
      try far.rename("2-", to: "2")
      try source.refresh()
      let clash = refusal { _ = try Store.fetch("2", from: source, to: local) }
      #expect(clash?.code == .exists)
      #expect(try Store(local).problems() == [])
      let unknown = refusal { _ = try Store.fetch("nothing", from: source, to: local) }
      #expect(unknown?.code == .notFound)
    }
  }

  @Test("an anchor that is nearer than the links is brought; one of a name that is here is refused")
  func anchors() throws {
    try StoreFolder.with(seed: 45) { folder in
      var model = folder.model(large: 4000)
      let far = try folder.store(model, links: 2)
      for number in 1...6 {
        model = folder.step(model)
        try far.add(model, "\(number)", in: folder)
      }
      let anchored = far.index.versions.filter { $0.anchor != nil }.map(\.name)
      #expect(anchored == ["base", "3", "6"])
      let fetched = try Store.fetch("5", from: far, to: folder("local"))
      #expect(fetched.versions == ["3", "4", "5"])
      #expect(try Store(folder("local")).problems() == [])
      // Another store whose anchor has the name of one that is here.
      let base = try #require(far.index["base"]?.anchor)
      let last = try #require(far.index["6"]?.anchor)
      _ = try Store.fetch("base", from: far, to: folder("other"))
      let here = folder("other/anchors/" + base.name)
      let before = try contents(ofFile: here)
      var text = String(decoding: try contents(ofFile: folder("store/store.json")), as: UTF8.self)
        .replacing(base.name, with: "x").replacing(last.name, with: base.name)
      for link in far.index.versions.compactMap(\.link) {
        // An anchor is less than such links.
        text.replace("\"size\":\(link.file.size),", with: "\"size\":\(UInt64(1) << 40),")
      }
      for path in ["store.json", "anchors/" + base.name] { try remove(folder("store/" + path)) }
      try write(Array(text.utf8), toFile: folder("store/store.json"))
      let made = try contents(ofFile: folder("store/anchors/" + last.name))
      try write(made, toFile: folder("store/anchors/" + base.name))
      let error = #expect(throws: DiffError.self) {
        try Store.fetch("6", from: Store(folder("store")), to: folder("other"))
      }
      #expect(error?.code == .exists)
      #expect(try contents(ofFile: here) == before)
      #expect(try Store(folder("other")).problems() == [])
    }
  }
}
