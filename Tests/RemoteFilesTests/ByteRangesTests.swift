import RemoteFiles
import TensorCore
import Testing
import TestSupport

@Suite struct ByteRangesTests {
  @Test("ranges hold what a set of numbers holds", arguments: 0..<200)
  func random(_ seed: Int) {
    var random = SplitMix64(seed: TestSeed.value &+ UInt64(seed))
    var ranges = ByteRanges()
    var numbers: Set<UInt64> = []
    func range() -> Range<UInt64> {
      let start = UInt64.random(in: 0..<60, using: &random)
      return start..<start + UInt64.random(in: 0..<12, using: &random)
    }
    for _ in 0..<12 {
      let next = range()
      let added = ranges.insert(next)
      #expect(added == UInt64(next.count { !numbers.contains($0) }))
      numbers.formUnion(next)
      #expect(Set(ranges.ranges.joined()) == numbers)
      #expect(
        zip(ranges.ranges, ranges.ranges.dropFirst()).allSatisfy {
          $0.upperBound < $1.lowerBound
        })
      let asked = range()
      let missing = asked.filter { !numbers.contains($0) }
      let found = ranges.firstMissing(in: asked)
      #expect(found?.lowerBound == missing.first)
      if let found {
        #expect(found.allSatisfy { !numbers.contains($0) })
        #expect(found.upperBound == asked.upperBound || numbers.contains(found.upperBound))
      }
    }
  }
}
