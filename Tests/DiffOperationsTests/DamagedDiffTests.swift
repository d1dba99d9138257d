import DiffFormat
import DiffOperations
import TensorCore
import Testing
import TestSupport

@Suite struct DamagedDiffTests {
  @Test(
    "a diff with one bit flipped anywhere never makes an output",
    arguments: [
      CreateMode.xor, .replace, .add(.all, values: .f16),
    ])
  func flips(mode: CreateMode) throws {
    let base = MemoryCheckpoint(Steps.base.all + [vector("old", [1, 2])])
    let tuned = MemoryCheckpoint(Steps.first.all + [vector("head", [3, 4])])
    let sound = try diffBytes(base, tuned, CreateOptions(mode))
    for offset in sound.indices {
      for bit in 0..<8 {
        var bytes = sound
        bytes[offset] ^= 1 << UInt8(bit)
        let error = #expect(throws: DiffError.self, "byte \(offset) bit \(bit)") {
          try Diffs.apply([DiffReader(bytes: bytes)], to: base, output: "damaged")
        }
        #expect(error?.offset != nil, "byte \(offset) bit \(bit)")
      }
    }
    #expect(base.output("damaged") == nil)
  }

  @Test("a diff cut off anywhere never makes an output")
  func truncation() throws {
    let sound = try diffBytes(Steps.base, Steps.first)
    for count in 0..<sound.count {
      #expect(throws: DiffError.self) { try DiffReader(bytes: Array(sound.prefix(count))) }
    }
  }

  @Test("damage in the last page of a large tensor is found before anything is written")
  func lastPage() throws {
    let base = MemoryTensor("w", .u8, [UInt8](repeating: 0, count: 6 << 20))
    var tuned = base
    for i in stride(from: 0, to: tuned.bytes.count, by: 50) { tuned.bytes[i] = UInt8(i % 255 + 1) }
    let before = MemoryCheckpoint([base])
    var bytes = try diffBytes(before, MemoryCheckpoint([tuned]))
    let entry = try DiffReader(bytes: bytes)[0]
    let page = try #require(entry.pages[.changes]?.last)
    bytes[Int(page.offset + page.storedSize) - 1] ^= 0x10
    let damaged = try DiffReader(bytes: bytes)
    try Scratch.with { scratch in
      for options in [ApplyOptions(), .touched] {
        var options = options
        options.undoPath = scratch("undo")
        let error = refusal(before, [damaged], .apply, options)
        #expect(error?.code == .checksum)
        #expect(error?.offset == page.offset)
      }
      let names = try scratch.names
      #expect(names == [])
    }
    #expect(throws: DiffError.self) { try Diffs.verify(damaged) }
    #expect(throws: DiffError.self) { try Diffs.statistics(of: damaged) }
  }

  @Test("a diff whose result does not match its fingerprint is refused")
  func inconsistent() throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    let tensor = Steps.base.all[0]
    try writer.begin(
      DiffEntry(
        "a", .xor, .f32, tensor.shape, base: tensor.fingerprint,
        result: Fingerprint(high: 1, low: 2)))
    try writer.append(ChangeRun(at: 0, [1], [1, 0, 0, 0]))
    try writer.end()
    try writer.finish()
    let error = refusal(Steps.base, [try DiffReader(bytes: sink.bytes)])
    #expect(error?.code == .checksum)
    #expect(error?.tensor == "a")
  }
}

extension CreateOptions {
  fileprivate init(_ mode: CreateMode) {
    self.init()
    self.mode = mode
  }
}
