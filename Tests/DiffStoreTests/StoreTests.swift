import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct StoreTests {
  @Test("steps and tasks: every version is got, and switched to from every other, -o and in place")
  func everyWay() throws {
    try StoreFolder.with { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      var models = ["base": base]
      for (name, parent) in [
        ("step-1", "base"), ("step-2", "step-1"), ("step-3", "step-2"), ("task", "base"),
        ("branch", "step-2"),
      ] {
        models[name] = folder.step(try #require(models[parent]))
        let version = try store.add(
          try #require(models[name]), name, parent: parent, in: folder)
        #expect(version.parent == parent)
        #expect(version.anchor == nil)
        #expect(version.link?.kind == .exact)
      }
      #expect(try store.problems() == [])
      for (name, model) in models {
        _ = try store.get(name, to: folder("got-\(name).safetensors"))
        #expect(try folder.holds(folder("got-\(name).safetensors"), model))
      }
      for from in models.keys {
        for to in models.keys {
          let path = folder("got-\(from).safetensors")
          let outcome = try store.switch(
            CheckpointFile.open(path), to: to, output: folder("out.safetensors"),
            overwriting: true)
          #expect(outcome.isThere == (from == to))
          #expect(try folder.holds(folder("out.safetensors"), try #require(models[to])))
          _ = try store.switch(CheckpointFile.open(folder("out.safetensors")), to: from)
          #expect(try folder.holds(folder("out.safetensors"), try #require(models[from])))
        }
      }
    }
  }

  @Test("tensors that come, go, and get other shapes, again and again, in one pass")
  func changingTables() throws {
    try StoreFolder.with(seed: 2) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      var model = base
      var models = [model]
      func next() throws {
        model = folder.step(model)
        try store.add(model, "v\(models.count)", in: folder)
        models.append(model)
      }
      model.append(folder.tensor("head", .f32, [10, 3]))
      try next()
      model.removeAll { $0.name == "b.bias" }
      try next()
      model.removeAll { $0.name == "head" }
      model.append(folder.tensor("head", .f32, [12, 3]))
      try next()
      model.removeAll { $0.name == "head" || $0.name == "a.weight" }
      model.append(folder.tensor("a.weight", .bf16, [390, 110]))
      try next()
      model.append(folder.tensor("b.bias", .f32, [7]))
      try next()
      model.removeAll { $0.name == "a.weight" }
      model.append(folder.tensor("a.weight", .bf16, [410, 90]))
      try next()
      #expect(try store.problems() == [])
      for from in models.indices {
        for to in models.indices {
          let start = try folder.write("from.safetensors", models[from])
          let (a, b) = (from == 0 ? "base" : "v\(from)", to == 0 ? "base" : "v\(to)")
          _ = try store.switch(
            CheckpointFile.open(start), to: b, output: folder("to.safetensors"),
            overwriting: true)
          #expect(try folder.holds(folder("to.safetensors"), models[to]), "\(a) to \(b)")
          _ = try store.switch(CheckpointFile.open(start), to: b)
          #expect(try folder.holds(start, models[to]), "\(a) to \(b) in place")
        }
      }
    }
  }

  @Test("additive tasks: forwards as they are, back from an anchor")
  func additive() throws {
    try StoreFolder.with(seed: 3) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      var versions = ["base"]
      for task in ["sms", "mails"] {
        let tuned = try folder.write("tuned.safetensors", folder.step(base, 0.02))
        var creation = CreateOptions()
        creation.mode = .add(.density(0.01), values: .f16)
        creation.skipsNonfloat = true
        creation.metadata = ["score.accuracy": "0.9", "train.settings": "{}"]
        let sink = try FileSink(folder("\(task).diff"))
        _ = try Diffs.create(
          from: CheckpointFile.open(folder("base.safetensors")), to: CheckpointFile.open(tuned),
          into: sink, creation)
        try sink.commit()
        var options = AddOptions()
        options.name = task
        let diff = try DiffReader(folder("\(task).diff"))
        let version = try store.add(diff, options).version
        #expect(version.parent == "base")
        #expect(version.link?.kind == .additive)
        #expect(version.link?.identity == diff.identity)
        #expect(version.metadata == ["score.accuracy": "0.9"])
        versions.append(task)
      }
      // An exact step upon an additive one.
      _ = try store.get("sms", to: folder("sms.safetensors"))
      let further = folder.step(try tensors(folder("sms.safetensors")))
      try store.add(further, "sms-2", parent: "sms", in: folder)
      versions.append("sms-2")
      #expect(try store.problems() == [])
      for from in versions {
        for to in versions {
          _ = try store.get(from, to: folder("from.safetensors"), overwriting: true)
          _ = try store.get(to, to: folder("want.safetensors"), overwriting: true)
          let wanted = try tensors(folder("want.safetensors"))
          _ = try store.switch(
            CheckpointFile.open(folder("from.safetensors")), to: to,
            output: folder("to.safetensors"), overwriting: true)
          #expect(try folder.holds(folder("to.safetensors"), wanted))
          _ = try store.switch(CheckpointFile.open(folder("from.safetensors")), to: to)
          #expect(try folder.holds(folder("from.safetensors"), wanted))
        }
      }
    }
  }

  private func tensors(_ path: String) throws -> [MemoryTensor] {
    let checkpoint = try CheckpointFile.open(path)
    return try checkpoint.tensors.map { stored in
      let bytes = try checkpoint.bytes(of: stored)
      return MemoryTensor(stored.name, stored.type, stored.shape, bytes)
    }
  }

  @Test("anchors come by bytes, and by the number of links")
  func anchors() throws {
    try StoreFolder.with(seed: 4) { folder in
      var model = folder.model()
      let store = try folder.store(model, share: 0.05, links: 3)
      var sinceAnchor = 0
      var bytes: UInt64 = 0
      for number in 1...12 {
        model = folder.step(model, number % 4 == 0 ? 0.2 : 0.002)
        let version = try store.add(model, "step-\(number)", in: folder)
        let link = try #require(version.link)
        bytes += link.file.size
        sinceAnchor += 1
        let full = try #require(store.index.versions[0].anchor?.size)
        let isDue = Double(bytes) > 0.05 * Double(full) || sinceAnchor > 3
        #expect((version.anchor != nil) == isDue, "step \(number)")
        if isDue { (sinceAnchor, bytes) = (0, 0) }
      }
      #expect(store.index.versions.count { $0.anchor != nil } > 2)
      #expect(try store.problems() == [])
    }
  }

  @Test("compact, remove, rename and prune keep every version that stays")
  func care() throws {
    try StoreFolder.with(seed: 5) { folder in
      var model = folder.model()
      let store = try folder.store(model, share: 100)
      var models = ["base": model]
      for number in 1...9 {
        model = folder.step(model)
        let name = number % 3 == 0 ? "step-\(number)" : nil
        models[try store.add(model, name, in: folder).name] = model
      }
      func expectAll(_ names: [String]) throws {
        #expect(store.index.versions.map(\.name) == names)
        #expect(try store.problems() == [])
        for name in names {
          _ = try store.get(name, to: folder("got.safetensors"), overwriting: true)
          #expect(try folder.holds(folder("got.safetensors"), try #require(models[name])))
        }
      }
      let compacted = try store.compact()
      #expect(compacted.versions.count == 6 && compacted.links == 3)
      try expectAll(["base", "step-3", "step-6", "step-9"])
      #expect(try store.check().unused.count == 9)
      for grace in [3600, UInt64.max] { #expect(try store.prune(grace: grace).waiting == 9) }
      #expect(try store.prune(grace: 0).files == 9)
      #expect(try store.check().unused == [])
      try store.rename("step-6", to: "release")
      models["release"] = models["step-6"]
      try expectAll(["base", "step-3", "release", "step-9"])
      #expect(try store.remove("release").links == 1)
      try expectAll(["base", "step-3", "step-9"])
      let pruned = try store.prune(keeping: [NamePattern("step-*")], grace: 0)
      #expect(pruned.versions == ["base"] && pruned.anchors == 1)
      try expectAll(["step-3", "step-9"])
      #expect(try store.prune(newest: 1, grace: 0).versions == ["step-3"])
      try expectAll(["step-9"])
      let error = #expect(throws: DiffError.self) { try store.remove("step-9") }
      #expect(error?.code == .usage)
    }
  }

  @Test("what lags behind the last anchor catches up from there, in place too")
  func lateJoiner() throws {
    try StoreFolder.with(seed: 6) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 0.02, links: 2)
      var model = base
      for number in 1...8 {
        model = folder.step(model, 0.3)
        try store.add(model, "step-\(number)", in: folder)
      }
      #expect(store.index.versions.dropFirst().contains { $0.anchor != nil })
      let late = try folder.write("late.safetensors", base)
      let outcome = try store.switch(
        CheckpointFile.open(late), to: "step-8", output: folder("out.safetensors"))
      #expect(outcome.from != "base")
      #expect(try folder.holds(folder("out.safetensors"), model))
      _ = try store.switch(CheckpointFile.open(late), to: "step-8")
      #expect(try folder.holds(late, model))
    }
  }

  @Test("a checkpoint of no version is refused, with the nearest one")
  func stranger() throws {
    try StoreFolder.with(seed: 7) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      let step = folder.step(base, only: ["a.weight"])
      try store.add(step, "step", in: folder)
      let other = folder.step(step, only: ["scalar"])
      let path = try folder.write("other.safetensors", other)
      let error = #expect(throws: DiffError.self) {
        try store.switch(CheckpointFile.open(path), to: "base")
      }
      #expect(error?.code == .wrongBase)
      #expect(error?.message.contains("nearest is 'step'") == true)
      #expect(error?.message.contains("4 of 5") == true)
      #expect(try folder.holds(path, other))
    }
  }

  // MARK: Routes

  @Test("a route begins at any version that the checkpoint is, and at any anchor, up and down")
  func routes() throws {
    try StoreFolder.with(seed: 8) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100, links: 2)
      var model = base
      for number in 1...4 {
        model = folder.step(model)
        try store.add(model, "\(number)", in: folder)
      }
      #expect(store.index.versions.filter { $0.anchor != nil }.map(\.name) == ["base", "3"])
      // The anchor is below.
      let got = try store.get("2", to: folder("got.safetensors"))
      #expect((got.from, got.links) == ("3", 1))
      #expect(got.cost == store.index["3"]?.link?.file.size)
      // The base again, of which the next version is a child.
      try store.add(base, "again", in: folder)
      let next = folder.step(base)
      try store.add(next, "next", in: folder)
      let served = try folder.write("served.safetensors", base)
      let outcome = try store.switch(CheckpointFile.open(served), to: "next")
      #expect((outcome.from, outcome.links) == ("again", 1))
      #expect(try folder.holds(served, next))
      let follower = try Follower(store, at: "base")
      try follower.prepare("next")
      #expect(try follower.commit().name == "next")
    }
  }

  @Test("additions are undone by what differs from an anchor, which is the cost")
  func additiveBack() throws {
    try StoreFolder.with(seed: 9) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      var creation = CreateOptions()
      creation.mode = .add(.all, values: .f32)
      creation.skipsNonfloat = true
      let sink = MemorySink()
      _ = try Diffs.create(
        from: MemoryCheckpoint(base), to: MemoryCheckpoint(folder.step(base, only: ["b.weight"])),
        into: sink, creation)
      var options = AddOptions()
      options.name = "task"
      _ = try store.add(DiffReader(bytes: sink.bytes), options)
      let served = folder("served.safetensors")
      _ = try store.get("task", to: served)
      let outcome = try store.switch(CheckpointFile.open(served), to: "base")
      #expect((outcome.from, outcome.links, outcome.tensors) == ("base", 0, 1))
      #expect(outcome.cost == store.index["base"]?.anchor?.size)
      #expect(try folder.holds(served, base))
    }
  }

  @Test("an output has the container of the checkpoint, over an anchor too")
  func containers() throws {
    try StoreFolder.with(seed: 10) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100, links: 1)
      var model = base
      for number in 1...4 {
        model = folder.step(model, 0.3)
        try store.add(model, "\(number)", in: folder)
      }
      // A folder of two files, with an index and a configuration.
      try makeFolder(folder("served"))
      let parts = ["one.safetensors": base.prefix(2), "two.safetensors": base.dropFirst(2)]
      for (name, part) in parts { try folder.write("served/" + name, Array(part)) }
      let map = parts.flatMap { name, part in part.map { "\"\($0.name)\":\"\(name)\"" } }
      let index = "{\"metadata\":{},\"weight_map\":{\(map.sorted().joined(separator: ","))}}"
      try write(Array(index.utf8), toFile: folder("served/model.safetensors.index.json"))
      try write(Array("{}".utf8), toFile: folder("served/config.json"))
      let outcome = try store.switch(
        CheckpointFile.open(folder("served")), to: "4", output: folder("out"))
      #expect(outcome.from == "4" && outcome.links == 0)
      #expect(try Set(Folder.names(folder("out"))) == Set(Folder.names(folder("served"))))
      #expect(try folder.holds(folder("out"), model))
      // A file with metadata.
      let (output, stored) = try CheckpointFile.make(
        at: folder("file.safetensors"), .safetensors, base.map { ($0.name, $0.type, $0.shape) },
        metadata: ["format": "pt"])
      for (tensor, row) in zip(base, stored) where !tensor.bytes.isEmpty {
        try output.write(tensor.bytes.span, to: row, at: 0)
      }
      try output.commit()
      let file = try CheckpointFile.open(folder("file.safetensors"))
      let other = try store.switch(file, to: "4", output: folder("other.safetensors"))
      #expect(other.from == "4")
      #expect(try CheckpointFile.open(folder("other.safetensors")).metadata == ["format": "pt"])
      #expect(try folder.holds(folder("other.safetensors"), model))
      // The suffix of another format.
      let suffixed = folder("other.h5")
      let switching = #expect(throws: DiffError.self) {
        try store.switch(file, to: "4", output: suffixed)
      }
      let getting = #expect(throws: DiffError.self) { try store.get("4", to: suffixed) }
      #expect(switching?.code == .usage && getting?.code == .usage)
      #expect(!File.exists(suffixed))
    }
  }

  // MARK: Parents

  @Test("a diff that states no checkpoint and was made for several versions needs a parent")
  func severalParents() throws {
    try StoreFolder.with(seed: 12) { folder in
      let base = folder.model()
      let store = try folder.store(base, share: 100)
      let one = folder.step(base, only: ["a.weight"])
      try store.add(one, "one", in: folder)
      try store.add(folder.step(one, only: ["b.weight"]), "two", in: folder)
      func diff(only name: TensorName) throws -> DiffReader {
        let sink = MemorySink()
        _ = try Diffs.create(
          from: MemoryCheckpoint(base), to: MemoryCheckpoint(folder.step(base, only: [name])),
          into: sink)
        return try DiffReader(bytes: DiffReader(bytes: sink.bytes).rewritten())
      }
      let bias = try diff(only: "b.bias")
      let error = #expect(throws: DiffError.self) { try store.add(bias) }
      #expect(error?.code == .wrongBase && error?.remedy == .parent)
      #expect(error?.message.contains("'base', 'one', 'two'") == true)
      var options = AddOptions()
      options.parent = "one"
      #expect(try store.add(bias, options).version.parent == "one")
      #expect(try store.add(diff(only: "a.weight")).version.parent == "base")
      #expect(try store.problems() == [])
    }
  }
}
