import Checkpoints
import DiffFormat
import DiffOperations
import Synchronization
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct OverlayTests {
  /// The tensors of an overlay, as a checkpoint.
  private func seen(_ overlay: Overlay) throws -> MemoryCheckpoint {
    try overlay.read { view throws(DiffError) in
      var tensors: [MemoryTensor] = []
      for name in view.names {
        guard let (type, shape) = view.tensor(name) else { continue }
        var bytes: [UInt8] = []
        bytes.append(copying: try view.bytes(of: name))
        tensors.append(MemoryTensor(name, type, shape, bytes))
      }
      return MemoryCheckpoint(tensors)
    }
  }

  @Test("attaching gives the result of apply, detaching the base, bit for bit", arguments: 0..<8)
  func everyType(seed: Int) throws {
    var model = RandomModel(seed: 900 + seed)
    let tensors = model.everything() + (seed % 4 == 0 ? model.large() : [])
    let base = MemoryCheckpoint(tensors)
    let resident = try ResidentModel(base)
    let overlay = Overlay(resident)
    var states: [(PreparedDiff, MemoryCheckpoint)] = []
    for mode in [CreateMode.xor, .replace] {
      let tuned = MemoryCheckpoint(
        tensors.dropFirst().map { model.tuned($0, density: 0.01) }
          + [vector("zz head", [1, 2, Float(seed)])])
      states.append((try PreparedDiff([diff(base, tuned, mode)], for: resident), tuned))
    }
    let floats = tensors.map { $0.type.float == nil ? $0 : model.tuned($0, density: 0.02) }
    for tuned in [floats, tensors.map { $0.type.float == .f32 ? model.tuned($0, density: 1) : $0 }]
    {
      guard let made = try? diff(base, MemoryCheckpoint(tuned), .add(.all, values: .f16)) else {
        continue  // a change to infinity or NaN
      }
      let result = try #require(try patched(base, [made]))
      states.append((try PreparedDiff([made], for: resident), result))
    }
    for index in states.indices + states.indices.reversed() + [0, 1, 0] {
      try overlay.attach(states[index].0)
      #expect(overlay.isAttached)
      #expect(same(try seen(overlay), states[index].1), "seed \(seed), state \(index)")
      if index == 1 {
        overlay.detach()
        #expect(same(try seen(overlay), base))
      }
    }
    overlay.detach()
    #expect(same(try seen(overlay), base))
  }

  @Test("a diff is prepared for the base while another one is attached", arguments: 0..<4)
  func whileAttached(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(40 + seed))
    let start = (0..<700_000).map { _ in Float(random.next() % 100) }
    func tuned(_ step: Int) -> MemoryCheckpoint {
      MemoryCheckpoint([vector("w", start.enumerated().map { $0 % step == 0 ? $1 + 0.5 : $1 })])
    }
    let base = MemoryCheckpoint([vector("w", start)])
    let resident = try ResidentModel(base)
    let overlay = Overlay(resident)
    try overlay.attach(PreparedDiff([diff(base, tuned(3))], for: resident))
    for mode in [CreateMode.xor, .replace, .add(.all, values: .f16)] {
      let made = try diff(base, tuned(5), mode)
      for allows in [false, true] {
        let prepared = try PreparedDiff([made], for: resident, allowsOtherBase: allows)
        #expect(same(try seen(overlay), tuned(3)))
        try Overlay(resident).attach(prepared)
        #expect(same(try seen(overlay), tuned(5)))
        overlay.detach()
        #expect(same(try seen(overlay), base))
        try overlay.attach(PreparedDiff([diff(base, tuned(3))], for: resident))
      }
      let touched = try? PreparedDiff([made], for: resident, .touched)
      #expect((touched == nil) == (mode == .add(.all, values: .f16)))
    }
  }

  @Test("several diffs together: chains of exact ones, sums of additions", arguments: 0..<4)
  func together(seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    func numbers(_ scale: Float) -> [Float] {
      (0..<300_000).map { _ in scale * Float(random.next() % 100) }
    }
    let start = numbers(1)
    func changed(_ from: [Float], one in: UInt64) -> [Float] {
      from.map { random.next() % `in` == 0 ? $0 + Float(random.next() % 9) / 8 : $0 }
    }
    let (a, b) = (changed(start, one: 3), changed(start, one: 50))
    let base = MemoryCheckpoint([vector("w", start)])
    let resident = try ResidentModel(base)
    let overlay = Overlay(resident)
    let sums = try [a, b, changed(start, one: 400)].map {
      try diff(base, MemoryCheckpoint([vector("w", $0)]), .add(.all, values: .f16))
    }
    try overlay.attach(PreparedDiff(sums, for: resident))
    #expect(same(try patched(base, sums), try seen(overlay)))
    overlay.detach()
    let middle = MemoryCheckpoint([vector("w", a)])
    let end = MemoryCheckpoint([vector("w", changed(a, one: 5))])
    let chain = [try diff(base, middle), try diff(middle, end, .replace)]
    try overlay.attach(PreparedDiff(chain, for: resident))
    #expect(same(try seen(overlay), end))
    overlay.detach()
    #expect(same(try seen(overlay), base))
  }

  @Test("readers see one diff from beginning to end while others switch")
  func concurrency() throws {
    let count = 200_000
    func constant(_ value: Float) -> MemoryCheckpoint {
      MemoryCheckpoint([vector("w", .init(repeating: value, count: count))])
    }
    let base = constant(0)
    let resident = try ResidentModel(base)
    let overlay = Overlay(resident)
    let diffs = try (1...3).map {
      try PreparedDiff([diff(base, constant(Float($0)))], for: resident)
    }
    let torn = Atomic(0)
    let reads = Atomic(0)
    parallelFor(4) { thread in
      for turn in 0..<60 {
        if thread == 0 {
          if turn % 4 == 3 { overlay.detach() } else { try? overlay.attach(diffs[turn % 4]) }
          continue
        }
        overlay.read { view in
          guard let bytes = try? view.bytes(of: "w") else { return }
          for i in stride(from: 4, to: bytes.count, by: 4) where bytes[i + 2] != bytes[2] {
            torn.add(1, ordering: .relaxed)
          }
          reads.add(1, ordering: .relaxed)
        }
      }
    }
    #expect(torn.load(ordering: .relaxed) == 0)
    #expect(reads.load(ordering: .relaxed) == 180)
  }

  @Test("tensors are found by the names of others: separators, a final ':0', aliases")
  func names() throws {
    var aliased = vector("g/w:0", [5, 6])
    aliased.aliases = ["other/g"]
    let base = MemoryCheckpoint([
      vector("a.b", [1, 2]), vector("a/b", [3, 4]), vector("x/y.z", [7, 8]), aliased,
      vector("caf\u{E9}/w", [9, 9]), vector("cafe\u{301}/w", [0, 0]),
    ])
    let tuned = MemoryCheckpoint([
      vector("a.b", [1, 3]), vector("a/b", [3, 4]), vector("new/head", [1, 1]),
      vector("caf\u{E9}/w", [9, 9]), vector("cafe\u{301}/w", [0, 1]),
    ])
    let overlay = Overlay(try ResidentModel(base))
    func bytes(_ name: TensorName) throws -> [UInt8]? {
      try overlay.read { view throws(DiffError) in
        guard view.tensor(name) != nil else { return nil }
        var bytes: [UInt8] = []
        bytes.append(copying: try view.bytes(of: name))
        return bytes
      }
    }
    func expect(_ found: [(TensorName, [Float]?)]) throws {
      for (name, values) in found {
        #expect(try bytes(name) == values.map { littleEndian($0) }, "\(name)")
      }
    }
    try expect([
      ("a.b", [1, 2]), ("a/b", [3, 4]), ("x.y.z", [7, 8]), ("x/y/z:0", [7, 8]), ("g.w", [5, 6]),
      ("other.g", [5, 6]), ("new/head", nil), ("caf\u{E9}.w", [9, 9]), ("cafe\u{301}.w", [0, 0]),
      ("cafe.w", nil),
    ])
    try overlay.attach(PreparedDiff([diff(base, tuned)], for: overlay.model))
    try expect([
      ("a.b", [1, 3]), ("a/b", [3, 4]), ("a/b:0", nil), ("x.y.z", nil), ("x/y.z", nil),
      ("g.w", nil), ("other/g", nil), ("new.head", [1, 1]), ("new/head:0", [1, 1]),
      ("caf\u{E9}.w", [9, 9]), ("cafe\u{301}.w", [0, 1]),
    ])
    let names: [TensorName] = ["a.b", "a/b", "cafe\u{301}/w", "caf\u{E9}/w", "new/head"]
    #expect(overlay.read { $0.names } == names)
  }

  @Test("unsuitable diffs are refused, and the overlay is unchanged")
  func refused() throws {
    let resident = try ResidentModel(Steps.base)
    let overlay = Overlay(resident)
    let made = try diff(Steps.base, Steps.first)
    try overlay.attach(PreparedDiff([made], for: resident))
    let other = try PreparedDiff([made], for: ResidentModel(Steps.base))
    #expect(throws: DiffError.self) { try overlay.attach(other) }
    #expect(same(try seen(overlay), Steps.first))
    overlay.detach()
    let elsewhere = try diff(Steps.first, Steps.second)
    let error = #expect(throws: DiffError.self) { try PreparedDiff([elsewhere], for: resident) }
    #expect(error?.code == .wrongBase)
    let grown = try diff(
      Steps.base, MemoryCheckpoint(Steps.base.all.dropLast() + [vector("c", [1])]))
    #expect(throws: DiffError.self) { try PreparedDiff([grown], for: resident) }
    #expect(throws: DiffError.self) {
      try overlay.read { view throws(DiffError) in
        _ = try view.bytes(of: "none")
      }
    }
  }

  @Test("a mapped file serves like one that was read, and is unchanged")
  func mapped() throws {
    let checkpoint = try CheckpointFile.open(Repository.base)
    let (read, mapped) = (
      try ResidentModel(checkpoint), try ResidentModel(checkpoint, mapping: true)
    )
    #expect(same(try seen(Overlay(read)), try seen(Overlay(mapped))))
    try Scratch.with { scratch in
      let output = try checkpoint.makeOutput(at: scratch("t.h5"), rewriting: [], overwriting: false)
      for tensor in checkpoint.tensors where tensor.byteCount >= 8 && tensor.type.width <= 8 {
        try output.write(
          [UInt8](repeating: 1, count: tensor.type.width).span, to: tensor, at: 0)
      }
      try output.commit()
      let tuned = try CheckpointFile.open(scratch("t.h5"))
      let before = try (0..<1).map { _ in try seen(Overlay(mapped)) }[0]
      let overlay = Overlay(mapped)
      try overlay.attach(PreparedDiff([diff(checkpoint, tuned)], for: mapped))
      #expect(same(try seen(overlay), try seen(Overlay(ResidentModel(tuned)))))
      overlay.detach()
      #expect(same(try seen(overlay), before))
      #expect(same(try seen(Overlay(ResidentModel(checkpoint))), before))
    }
  }
}
