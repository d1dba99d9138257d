import DiffTraining
import Kernels
import TensorCore
import Testing

@Suite struct BatchesTests {
  @Test("an epoch has every example once, in full batches but the last")
  func everyExampleOnce() {
    var random = SplitMix64(seed: 1)
    for count in [0, 1, 15, 16, 17, 1000] {
      let lengths = (0..<count).map { _ in Int(random.next() % 100) }
      for pool in [1, 8] {
        let batches = Batches(size: 16, pool: pool, seed: 3)
        let epoch = batches.batches(lengths, epoch: 2)
        #expect(epoch.flatMap(\.self).sorted() == Array(0..<count))
        #expect(epoch.dropLast().allSatisfy { $0.count == 16 })
        #expect(epoch.count == batches.count(of: count))
        #expect(epoch == batches.batches(lengths, epoch: 2))
      }
    }
  }

  @Test("the order is a function of seed and epoch")
  func orders() {
    let lengths = Array(repeating: 5, count: 100)
    let one = Batches(size: 10, seed: 1)
    #expect(one.batches(lengths, epoch: 0) != one.batches(lengths, epoch: 1))
    #expect(
      one.batches(lengths, epoch: 0) != Batches(size: 10, seed: 2).batches(lengths, epoch: 0))
    #expect(Batches(size: 3, seed: 7).batches(Array(0..<8), epoch: 4).map(\.count) == [3, 3, 2])
  }

  @Test("batches of a pool are of similar length")
  func similarLengths() {
    var random = SplitMix64(seed: 5)
    let lengths = (0..<1024).map { _ in Int(random.next() % 128) }
    func spread(_ pool: Int) -> Int {
      Batches(size: 16, pool: pool, seed: 1).batches(lengths, epoch: 0).reduce(0) { sum, batch in
        let found = batch.map { lengths[$0] }
        return sum + (found.max() ?? 0) - (found.min() ?? 0)
      }
    }
    #expect(spread(8) * 4 < spread(1))
    #expect(
      Batches(size: 2, seed: 0).byLength([5, 1, 3, 1]) == [[1, 3], [2, 0]])
  }

  @Test("a part that is split off has the same share of every class")
  func stratifiedSplit() throws {
    let text = (0..<100).map { "t\($0)\t\($0 % 10 == 0 ? "rare" : "common")\n" }.joined()
    let data = try TaskData(table: Array(text.utf8))
    let (rest, part) = data.split(0.2, seed: 9)
    #expect((rest + part).sorted() == Array(0..<100))
    #expect(part.count == 20 && part.count { $0 % 10 == 0 } == 2)
    #expect(part == data.split(0.2, seed: 9).part && part != data.split(0.2, seed: 8).part)
    #expect(data.split(0, seed: 1).part.isEmpty && data.split(2, seed: 1).rest.isEmpty)
  }
}
