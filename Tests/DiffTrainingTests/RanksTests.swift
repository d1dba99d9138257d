import Checkpoints
import DiffTraining
import TensorCore
import Testing
import TestSupport

/// What ranks share of a batch; that they train as one process does is tested with the command.
@Suite struct RanksTests {
  @Test("shares are neighbours, take every example once, and have about as many tokens")
  func shares() {
    var random = SplitMix64(seed: TestSeed.value)
    for _ in 0..<200 {
      let lengths = (0..<Int(random.next(below: 40))).map { _ in 1 + Int(random.next(below: 60)) }
      let count = 1 + Int(random.next(below: 9))
      let shares = Ranks.shares(of: lengths, among: count)
      #expect(shares.count == count && shares.flatMap(Array.init) == Array(lengths.indices))
      let total = lengths.reduce(0, +)
      for share in shares {
        // Half an example at either end.
        let most = Double(total) / Double(count) + Double(lengths.max() ?? 0)
        #expect(Double(lengths[share].reduce(0, +)) <= most, "seed \(TestSeed.value)")
      }
    }
    // By tokens, not by count.
    #expect(Ranks.shares(of: [30, 10, 10, 10], among: 2) == [0..<1, 1..<4])
    #expect(Ranks.shares(of: [7], among: 3).filter { !$0.isEmpty } == [0..<1])
    #expect(Ranks.shares(of: [], among: 2) == [0..<0, 0..<0])
  }

  @Test("a launcher is known by its variables; a process that none started is alone")
  func launches() {
    func launch(_ variables: [String: String]) -> [Int] {
      let launch = Launch { variables[$0] }
      return [launch.rank, launch.count]
    }
    #expect(launch([:]) == [0, 1])
    #expect(launch(["OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "4"]) == [2, 4])
    #expect(launch(["PMI_RANK": "1", "PMI_SIZE": "2"]) == [1, 2])
    #expect(launch(["SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"]) == [3, 8])
    #expect(launch(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"]) == [0, 1])
    #expect(launch(["PMI_SIZE": "many"]) == [0, 1])
  }

  @Test(
    "parts of a batch drop what the whole drops: losses and gradients add up",
    arguments: [EncoderModel.Pooling.cls, .mean, .pooler])
  func parts(_ pooling: EncoderModel.Pooling) throws {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert"
    let model = try EncoderModel(
      EncoderConfiguration(contentsOf: path + ".json"),
      checkpoint: CheckpointFile.open(path + ".safetensors"), head: .classes(3), pooling: pooling,
      engine: try Engine(threads: 2))
    let values = FloatBuffer(count: model.layout.count)
    try model.initialize(values, seed: 1)
    let examples = (0..<7).map { number in
      TokenExample(
        ids: (0..<3 + number % 4).map { Int32((number * 5 + $0 * 3) % 20) },
        target: .label(number % 3))
    }
    func gradients(_ parts: [Range<Int>]) throws -> (loss: Double, values: [Float]) {
      let gradients = Gradients(model.layout)
      var loss = 0.0
      for part in parts {
        var dropout = Dropout(seed: 7, step: 3)
        dropout.preceding = BatchExtent(examples[..<part.lowerBound].map(\.length))
        loss += try model.addGradients(
          of: Array(examples[part]), at: values, scale: 1, dropout: dropout, to: gradients)
      }
      return (loss, gradients.values.elements(0..<model.layout.count))
    }
    let whole = try gradients([0..<7])
    let size = whole.values.reduce(0) { max($0, $1.magnitude) }
    for parts in [[0..<3, 3..<7], [0..<1, 1..<2, 2..<7]] {
      let sum = try gradients(parts)
      #expect(abs(sum.loss - whole.loss) <= 1e-5 * whole.loss, "\(sum.loss) \(whole.loss)")
      let distance = zip(sum.values, whole.values).reduce(0) { max($0, ($1.0 - $1.1).magnitude) }
      #expect(distance <= 1e-5 * size, "\(distance) of \(size)")
    }
    // Without what comes before, others are dropped.
    var last = Dropout(seed: 7, step: 3)
    let alone = try model.addGradients(
      of: Array(examples[3...]), at: values, scale: 1, dropout: last, to: Gradients(model.layout))
    last.preceding = BatchExtent(examples[..<3].map(\.length))
    let behind = try model.addGradients(
      of: Array(examples[3...]), at: values, scale: 1, dropout: last, to: Gradients(model.layout))
    #expect(alone != behind)
  }
}
