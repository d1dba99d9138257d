import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct DeterminismTests {
  @Test(
    "equal input gives equal bytes, whatever the storage",
    arguments: [
      CreateMode.xor, .replace, .add(.density(0.01), values: .f16),
    ])
  func bytes(mode: CreateMode) throws {
    var model = RandomModel(seed: 900)
    let base = model.large().map { tensor in
      // Small numbers, so that every change of a float is finite.
      var tensor = tensor
      if tensor.type.float != nil {
        for i in stride(from: tensor.type.width - 1, to: tensor.bytes.count, by: tensor.type.width)
        {
          tensor.bytes[i] = 0x2A
        }
      }
      return tensor
    }
    let tuned = base.map { tensor in
      var changed = model.tuned(tensor, density: 0.01)
      if tensor.type.float != nil {
        for i in stride(from: tensor.type.width - 1, to: tensor.bytes.count, by: tensor.type.width)
        {
          changed.bytes[i] = 0x2A
        }
      }
      return changed
    }
    for profile in EncodingProfile.allCases {
      var options = CreateOptions()
      options.mode = mode
      options.profile = profile
      options.skipsNonfloat = true
      options.metadata = ["task": "none", "a": "b", "z": ""]
      let first = try diffBytes(MemoryCheckpoint(base), MemoryCheckpoint(tuned), options)
      for round in 0..<3 {
        let again = try diffBytes(
          MemoryCheckpoint(base, path: "\(round)", contiguous: round == 0),
          MemoryCheckpoint(tuned), options)
        #expect(first == again, "\(profile)")
      }
      let reader = try DiffReader(bytes: first)
      #expect(reader.metadata == options.metadata)
      #expect(try patched(MemoryCheckpoint(base), [reader]) != nil)
    }
  }

  @Test("progress ends at the total")
  func progress() throws {
    var last: [String: OperationProgress] = [:]
    let made = try diff(Steps.base, Steps.first)
    _ = try Diffs.create(from: Steps.base, to: Steps.first, into: MemorySink()) {
      last[$0.phase] = $0
    }
    _ = try Diffs.apply([made], to: Steps.base, output: "\(last.count)") { last[$0.phase] = $0 }
    _ = try Diffs.apply([made], .revert, to: Steps.first, output: "\(last.count)") {
      last[$0.phase] = $0
    }
    _ = try Diffs.apply([made], to: Steps.first, output: "\(last.count)") { last[$0.phase] = $0 }
    _ = try Diffs.verify(made, against: Steps.base) { last[$0.phase] = $0 }
    #expect(last.keys.sorted() == ["apply", "compare", "create", "decode", "revert", "verify"])
    for (phase, progress) in last {
      #expect(progress.done == progress.total, "\(phase)")
    }
  }
}
