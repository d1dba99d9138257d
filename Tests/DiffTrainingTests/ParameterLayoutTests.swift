import DiffTraining
import TensorCore
import Testing

@Suite struct ParameterLayoutTests {
  @Test("parameters lie one after the other, each on a cache line of its own")
  func parametersAreAligned() throws {
    var layout = ParameterLayout()
    try layout.append("a", #require(Shape([3, 5])))
    try layout.append("b", #require(Shape([16])))
    try layout.append("head", #require(Shape([2])), isHead: true)
    #expect(layout.parameters.map(\.range) == [0..<15, 16..<32, 32..<34])
    #expect(layout.count == 48)
    #expect(layout.bodyCount == 31)
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
