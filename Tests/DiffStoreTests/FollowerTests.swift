import Checkpoints
import DiffFormat
import DiffOperations
import DiffStore
import Synchronization
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct FollowerTests {
  /// Whether a follower serves a version, which holds a model's tensors and no others.
  private func isAt(
    _ name: String, _ model: [MemoryTensor], _ follower: Follower
  ) throws -> Bool {
    try follower.read { (view, version) throws(DiffError) -> Bool in
      guard version == name, view.names == model.map(\.name).sorted() else { return false }
      for tensor in model {
        guard try view.bytes(of: tensor.name).compared(with: tensor.bytes.span) == 0 else {
          return false
        }
      }
      return true
    }
  }

  @Test("it follows steps, goes back, and over tensors that come, go and get other shapes")
  func follows() throws {
    try StoreFolder.with(seed: 31) { folder in
      var model = folder.model()
      let store = try folder.store(model, share: 100)
      var models = ["base": model]
      for number in 1...6 {
        model = folder.step(model)
        if number == 3 { model.append(folder.tensor("head", .f32, [4, 4])) }
        if number == 5 {
          model.removeAll { $0.name == "head" }
          model.append(folder.tensor("head", .f32, [5, 4]))
        }
        try store.add(model, "step-\(number)", in: folder)
        models["step-\(number)"] = model
      }
      let follower = try Follower(Store(folder("store")), at: "base")
      let none = #expect(throws: DiffError.self) { try follower.commit() }
      #expect(none?.code == .usage)
      for name in ["step-1", "step-2", "step-4", "step-6", "step-5", "base", "step-2", "step-2"] {
        let before = follower.version.name
        try follower.prepare(name)
        #expect(follower.prepared?.name == name)
        #expect(follower.version.name == before)
        let (old, new) = (try #require(models[before]), try #require(models[name]))
        #expect(try isAt(before, old, follower))
        #expect(try follower.commit().name == name)
        #expect(try isAt(name, new, follower))
      }
      let unknown = #expect(throws: DiffError.self) { try follower.prepare("step-9") }
      #expect(unknown?.code == .notFound)
      // What another process has added since.
      try store.add(folder.step(model), "step-9", in: folder)
      try follower.prepare("step-9")
      try follower.commit()
    }
  }

  @Test("readers beside commits never see two versions")
  func unmixed() throws {
    try StoreFolder.with(seed: 32) { folder in
      // In version v each element of both tensors is v.
      func model(_ version: UInt8) -> [MemoryTensor] {
        ["a", "b"].map {
          MemoryTensor(TensorName($0), .u8, [UInt8](repeating: version, count: 512))
        }
      }
      let store = try folder.store(model(0), share: 1000)
      for version in 1...5 as ClosedRange<UInt8> {
        try store.add(model(version), "v\(version)", in: folder)
      }
      let follower = try Follower(store, at: "base")
      let isOver = Atomic(false)
      let reads = Atomic(0)
      let mixed = Atomic(0)
      let seen = Guarded<Set<UInt8>>([])
      parallelFor(4) { thread in
        if thread == 0 {
          for round in 0..<100 {
            try? follower.prepare("v\(1 + round % 5)")
            _ = try? follower.commit()
          }
          isOver.store(true, ordering: .relaxed)
          return
        }
        while !isOver.load(ordering: .relaxed) || reads.load(ordering: .relaxed) < 1_000_000 {
          let number = try? follower.read { (view, version) throws(DiffError) -> UInt8? in
            let number = try view.bytes(of: "a")[0]
            for name in ["a", "b"] as [TensorName] {
              let bytes = try view.bytes(of: name)
              guard bytes[0] == number, bytes[255] == number, bytes[511] == number else {
                return nil
              }
            }
            return version == (number == 0 ? "base" : "v\(number)") ? number : nil
          }
          if let number {
            _ = seen.withLock { $0.insert(number) }
          } else {
            _ = mixed.add(1, ordering: .relaxed)
          }
          _ = reads.add(1, ordering: .relaxed)
        }
      }
      #expect(mixed.load(ordering: .relaxed) == 0)
      #expect(reads.load(ordering: .relaxed) >= 1_000_000)
      #expect(seen.withLock { $0.count } > 1)
      print("\(reads.load(ordering: .relaxed)) reads beside 100 commits, none mixed")
    }
  }
}
