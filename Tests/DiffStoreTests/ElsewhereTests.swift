import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import Kernels
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// What broke in the chains of deltas that others keep (`anchors.md`, 8), each as a test.
@Suite struct ElsewhereTests {
  private func chain(
    _ steps: Int, seed: UInt64, _ body: (inout StoreFolder, Store, [[MemoryTensor]]) throws -> Void
  ) throws {
    try StoreFolder.with(seed: seed) { folder in
      var models = [folder.model()]
      let store = try folder.store(models[0], share: 100)
      for number in 1...steps {
        models.append(folder.step(models[number - 1]))
        try store.add(models[number], "step-\(number)", in: folder)
      }
      try body(&folder, store, models)
    }
  }

  @Test("a failure that is swallowed does no harm: the next switch begins where the checkpoint is")
  func swallowedFailure() throws {
    try chain(3, seed: 21) { folder, store, models in
      let served = try folder.write("served.safetensors", models[0])
      let link = try #require(store.index["step-2"]?.link)
      let path = folder("store/links/\(link.file.name)")
      let whole = try contents(ofFile: path)
      try remove(path)
      #expect(throws: DiffError.self) {
        try store.switch(CheckpointFile.open(served), to: "step-2")
      }
      // Whoever overlooks that goes on with the next step.
      try write(whole, toFile: path)
      _ = try store.switch(CheckpointFile.open(served), to: "step-3")
      #expect(try folder.holds(served, models[3]))
    }
  }

  @Test("a link whose every checksum is right and whose result is not is refused: NaN and all")
  func resultNotPayload() throws {
    try chain(2, seed: 22) { folder, store, models in
      let served = try folder.write("served.safetensors", models[1])
      let two = try #require(store.index["step-2"]?.link)
      var wrong = models[2]
      let place = try #require(wrong.firstIndex { $0.name == "a.weight" })
      wrong[place].bytes.replaceSubrange(0..<2, with: [0xC0, 0x7F])
      let text = String(
        decoding: try contents(ofFile: folder("store/store.json")), as: UTF8.self)
      // The diff states the result that it has, or the one that the version should have.
      for claims in [nil, models[2][place].fingerprint] {
        let made = MemorySink()
        _ = try Diffs.create(
          from: MemoryCheckpoint(models[1]), to: MemoryCheckpoint(wrong), into: made)
        let forged = try DiffReader(bytes: made.bytes).rewritten { entry, _ in
          if let claims, entry.name == "a.weight" { entry.result = claims }
        }
        let link = try DiffReader(bytes: forged)
        try write(forged, toFile: folder("store/links/\(link.identity).diff"))
        var hash = SHA256()
        hash.update(forged.span)
        try remove(folder("store/store.json"))
        let index = text.replacing(two.identity.description, with: link.identity.description)
          .replacing(
            "\"size\":\(two.file.size),\"sha256\":\"\(two.file.sha256)\"",
            with: "\"size\":\(forged.count),\"sha256\":\"\(hash.digest)\"")
        try write(Array(index.utf8), toFile: folder("store/store.json"))
        let opened = try Store(folder("store"))
        _ = try opened.checkpoint(of: "step-2")
        for output in [nil, folder("out.safetensors")] {
          let error = #expect(throws: DiffError.self) {
            try opened.switch(CheckpointFile.open(served), to: "step-2", output: output)
          }
          #expect(error?.code == .checksum)
        }
        #expect(throws: DiffError.self) {
          try opened.get("step-2", to: folder("out.safetensors"))
        }
        #expect(!File.exists(folder("out.safetensors")))
        #expect(try folder.holds(served, models[1]))
        #expect(try opened.problems().count == 1)
      }
    }
  }

  @Test("a chain whose links were removed is not replayed from its beginning")
  func prunedChain() throws {
    try chain(6, seed: 23) { folder, store, models in
      _ = try store.prune(newest: 2, grace: 0)
      #expect(store.index.versions.map(\.name) == ["step-5", "step-6"])
      let old = try folder.write("old.safetensors", models[0])
      let error = #expect(throws: DiffError.self) {
        try store.switch(CheckpointFile.open(old), to: "step-6")
      }
      #expect(error?.code == .wrongBase)
      #expect(try folder.holds(old, models[0]))
      _ = try store.get("step-6", to: folder("new.safetensors"))
      #expect(try folder.holds(folder("new.safetensors"), models[6]))
    }
  }

  @Test("an anchor that lacks a tensor is none")
  func incompleteAnchor() throws {
    try chain(1, seed: 24) { folder, store, models in
      let anchor = try #require(store.index.versions[0].anchor)
      let path = folder("store/anchors/\(anchor.name)")
      var part = models[0]
      part.removeLast()
      try remove(path)
      try write(
        contents(ofFile: folder.write("part.safetensors", part)), toFile: path)
      #expect(try store.problems(rebuilding: false).isEmpty == false)
      let error = #expect(throws: DiffError.self) {
        try Store(folder("store")).get("step-1", to: folder("out.safetensors"))
      }
      #expect(error?.code == .checksum)
      #expect(!File.exists(folder("out.safetensors")))
    }
  }

  @Test("XOR is not applied twice: what is there already stays")
  func twice() throws {
    try chain(2, seed: 25) { folder, store, models in
      let served = try folder.write("served.safetensors", models[1])
      for _ in 0..<3 {
        let outcome = try store.switch(CheckpointFile.open(served), to: "step-2")
        #expect(try folder.holds(served, models[2]))
        #expect(outcome.isThere == (outcome.from == "step-2"))
      }
    }
  }

  @Test("of two writers one wins, and the other loses nothing")
  func twoWriters() throws {
    try chain(1, seed: 26) { folder, store, models in
      let (a, b) = (folder.step(models[1]), folder.step(models[1]))
      let paths = [try folder.write("a.safetensors", a), try folder.write("b.safetensors", b)]
      // The lock of another process.
      let lock = try File(folder("store/lock"), writable: true)
      try lock.lock(.exclusive)
      let before = try contents(ofFile: folder("store/store.json"))
      let error = #expect(throws: DiffError.self) {
        try store.add(CheckpointFile.open(paths[0]))
      }
      #expect(error?.code == .locked)
      #expect(try contents(ofFile: folder("store/store.json")) == before)
      try lock.lock(.shared)
      withExtendedLifetime(lock) {}
    }
    try chain(1, seed: 27) { folder, store, models in
      let paths = try (0..<8).map { number in
        try folder.write("\(number).safetensors", folder.step(models[1]))
      }
      let path = folder("store")
      let results = Guarded<[String]>([])
      parallelFor(paths.count) { number in
        var options = AddOptions()
        options.name = "writer-\(number)"
        options.parent = "step-1"
        do throws(DiffError) {
          _ = try Store(path).add(CheckpointFile.open(paths[number]), options)
          results.withLock { $0.append("writer-\(number)") }
        } catch {
          results.withLock {
            if ![.locked, .changed].contains(error.code) { $0.append("\(error)") }
          }
        }
      }
      let added = results.withLock { $0 }
      try store.refresh()
      #expect(!added.isEmpty)
      #expect(
        Set(store.index.versions.map(\.name)) == Set(added).union(["base", "step-1"]))
      #expect(try store.problems() == [])
    }
  }

  @Test("a worker that is stale finds the way from where it is")
  func staleWorker() throws {
    try chain(7, seed: 28) { folder, store, models in
      for begin in [0, 3, 6] {
        let worker = try folder.write("worker.safetensors", models[begin])
        let outcome = try store.switch(CheckpointFile.open(worker), to: "step-7")
        #expect(outcome.links == 7 - begin)
        #expect(try folder.holds(worker, models[7]))
      }
    }
  }

  @Test("what is written beside a checkpoint is believed as long as its files are the same")
  func stamps() throws {
    try chain(1, seed: 29) { folder, store, models in
      let served = try folder.write("served.safetensors", models[0])
      let version = try store.version(of: CheckpointFile.open(served))
      #expect(version?.name == "base")
      #expect(File.exists(served + ".diffkit-fingerprints"))
      // Rewritten in place, size and name the same.
      let file = try File(served, writable: true)
      let bytes = try contents(ofFile: folder.write("one.safetensors", models[1]))
      try file.write(bytes.span, at: 0)
      #expect(try store.version(of: CheckpointFile.open(served))?.name == "step-1")
      #expect(try store.version(of: CheckpointFile.open(served))?.name == "step-1")
    }
  }
}
