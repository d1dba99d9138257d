import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import TensorCore
import Testing
import TestSupport

@Suite struct ParameterLayoutTests {
  @Test("parameters are stored in order, each at the start of a cache line")
  func parametersAreAligned() throws {
    var layout = ParameterLayout()
    try layout.append("a", #require(Shape([3, 5])))
    try layout.append("b", #require(Shape([16])))
    try layout.append("head", #require(Shape([2])), isHead: true)
    #expect(layout.parameters.map(\.range) == [0..<15, 16..<32, 32..<34])
    #expect(layout.count == 48)
    #expect(layout.bodyCount == 31)
  }

  @Test("a tensor of 2^32 elements is refused by name")
  func tooLarge() {
    var layout = ParameterLayout()
    let error = #expect(throws: DiffError.self) {
      try layout.append("table", Shape(vector: 1 << 32), isTable: true)
    }
    #expect(error?.code == .limit)
    #expect(error?.tensor == "table")
    #expect(layout.parameters.isEmpty)
  }

  @Test("names that look alike and differ in bytes are two parameters")
  func twoSpellings() throws {
    var layout = ParameterLayout()
    try layout.append("caf\u{E9}", Shape(vector: 3))
    try layout.append("cafe\u{301}", Shape(vector: 2))
    #expect(layout["caf\u{E9}"]?.shape == Shape(vector: 3))
    #expect(layout["cafe\u{301}"]?.shape == Shape(vector: 2))
    #expect(throws: DiffError.self) { try layout.append("caf\u{E9}", Shape(vector: 1)) }
    let base = ParameterCheckpoint(layout, FloatBuffer(count: layout.count))
    #expect(base.tensors.map(\.name) == ["cafe\u{301}", "caf\u{E9}"])
    let sink = MemorySink()
    let count = try writeFinetune(
      of: base, base.tensors.map(\.name), head: [], into: sink, metadata: [:]
    ) { ChangeRun(at: 0, [0], [$0 == "caf\u{E9}" ? 1 : 2]) }
    #expect(count == 2)
    let tuned = try TunedCheckpoint(base, [DiffReader(bytes: sink.bytes)])
    for (tensor, first) in zip(tuned.tensors, [2, 1] as [Float]) {
      var bytes = [UInt8](repeating: 0, count: 4)
      var span = bytes.mutableSpan
      try tuned.read(tensor, at: 0, into: &span)
      #expect(bytes == first.bitPattern.littleEndianBytes)
    }
  }

  @Test("a buffer begins as zeros and keeps what is written to it")
  func buffersKeepValues() {
    let buffer = FloatBuffer(count: 1000)
    var span = buffer.mutableSpan
    span[999] = 2
    let values = buffer.span
    #expect(values[0] == 0 && values[998] == 0 && values[999] == 2)
  }
}
