import SystemSupport
import TensorCore
import Testing

@Suite struct SharedTasksTests {
  @Test("every task is done once, by whichever thread")
  func once() throws {
    let tasks = SharedTasks(count: 1000)
    let done = ResidentBytes(count: 1000)
    try parallelFor(16) { (thread) throws(DiffError) in
      try tasks.finish(thread * 50..<thread * 50 + 250) { piece throws(DiffError) in
        done.change(at: piece, count: 1) { $0[0] += 1 }
      }
      let bytes = done.span
      for piece in thread * 50..<thread * 50 + 250 { #expect(bytes[piece] == 1) }
    }
  }

  @Test("a failed task is tried again")
  func failing() throws {
    let tasks = SharedTasks(count: 3)
    var tries = 0
    let error = #expect(throws: DiffError.self) {
      try tasks.finish(0..<3) { piece throws(DiffError) in
        tries += 1
        if piece == 1 { throw DiffError(.io, "no") }
      }
    }
    #expect(error?.message == "no")
    try tasks.finish(0..<3) { _ throws(DiffError) in tries += 1 }
    #expect(tries == 4)
  }
}
