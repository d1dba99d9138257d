import SystemSupport
import TensorCore
import Testing

@Suite struct SharedWorkTests {
  @Test("every piece is done once, whoever asks for it")
  func once() throws {
    let work = SharedWork(count: 1000)
    let done = ResidentBytes(count: 1000)
    try parallelFor(16) { (thread) throws(DiffError) in
      try work.finish(thread * 50..<thread * 50 + 250) { piece throws(DiffError) in
        done.change(at: piece, count: 1) { $0[0] += 1 }
      }
      let bytes = done.span
      for piece in thread * 50..<thread * 50 + 250 { #expect(bytes[piece] == 1) }
    }
  }

  @Test("what failed is tried again")
  func failing() throws {
    let work = SharedWork(count: 3)
    var tries = 0
    let error = #expect(throws: DiffError.self) {
      try work.finish(0..<3) { piece throws(DiffError) in
        tries += 1
        if piece == 1 { throw DiffError(.io, "no") }
      }
    }
    #expect(error?.message == "no")
    try work.finish(0..<3) { _ throws(DiffError) in tries += 1 }
    #expect(tries == 4)
  }
}
