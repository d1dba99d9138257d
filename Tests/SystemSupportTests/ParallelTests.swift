import Synchronization
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct ParallelTests {
  @Test("every index is visited once", arguments: [0, 1, 2, 100, 5000])
  func all(count: Int) throws {
    let seen = Mutex([Int](repeating: 0, count: count))
    try parallelFor(count) { index throws(DiffError) in seen.withLock { $0[index] += 1 } }
    #expect(seen.withLock { $0 } == [Int](repeating: 1, count: count))
  }

  @Test("the error of the lowest index is thrown, regardless of order", arguments: 0..<50)
  func lowest(round: Int) {
    var random = SplitMix64(seed: TestSeed.value + UInt64(round))
    let failing = Set((0..<8).map { _ in Int(random.next() % 400) })
    let error = #expect(throws: DiffError.self) {
      try parallelFor(400) { index throws(DiffError) in
        if failing.contains(index) { throw DiffError(.usage, "\(index)") }
      }
    }
    #expect(error?.message == failing.min().map(String.init), "seed \(TestSeed.value)")
  }

  @Test("a single body throws too")
  func single() {
    #expect(throws: DiffError.self) {
      try parallelFor(1) { index throws(DiffError) in throw DiffError(.usage, "\(index)") }
    }
  }

  @Test("elements are changed in place, as many as asked for")
  func elements() throws {
    var numbers = (0..<1000).map { $0 }
    try parallelForEach(&numbers, count: 900) { index, number throws(DiffError) in
      number += index
    }
    #expect(numbers == (0..<1000).map { $0 < 900 ? 2 * $0 : $0 })
  }
}
