import Checkpoints
import DiffTraining
import TensorCore
import Testing
import TestSupport

/// Trainings by ranks that are threads of this process; those of MPI are tested with the command.
@Suite struct RankTrainingTests {
  private struct Trained: Sendable {
    var losses: [Double] = []
    var traffic: [UInt64] = []
    var stages: [TrainingProgress.Stage] = []
    var positions: [Int] = []
    var values: [Float] = []
    var head = 0
  }

  private static func train(_ options: TrainingOptions, _ ranks: Ranks) throws -> Trained {
    let path = Repository.path + "/Tests/DiffTrainingTests/Resources/encoder-bert"
    let model = try EncoderModel(
      EncoderConfiguration(contentsOf: path + ".json"),
      checkpoint: CheckpointFile.open(path + ".safetensors"), head: .classes(3),
      engine: try Engine(threads: 1))
    let examples = (0..<23).map { number in
      TokenExample(
        ids: (0..<3 + number % 5).map { Int32((number * 5 + $0 * 3) % 20) },
        target: .label(number % 3))
    }
    var trained = Trained()
    let trainer = try Trainer(model, examples, options)
    trainer.ranks = ranks
    let outcome = try trainer.run { progress in
      trained.losses.append(progress.loss)
      trained.stages.append(progress.stage)
      if let traffic = progress.traffic { trained.traffic.append(traffic) }
      return .more
    }
    guard case .finished(let finetune) = outcome else { return trained }
    trained.positions = finetune.positions
    trained.values = finetune.values.elements(0..<finetune.layout.count)
    trained.head = finetune.layout.parameters.filter(\.isHead).reduce(0) { $0 + $1.range.count }
    return trained
  }

  private static func options(_ method: TrainingOptions.Method) -> TrainingOptions {
    var options = TrainerTests.options(method)
    options.batchSize = 4
    options.accumulation = 2
    return options
  }

  @Test(
    "ranks have the same values, bit by bit, and nearly those of one",
    arguments: TrainingOptions.Method.allCases)
  func sameTraining(_ method: TrainingOptions.Method) throws {
    let options = Self.options(method)
    let one = try Self.train(options, Ranks())
    #expect(one.traffic.isEmpty)
    for count in [2, 3, 5] {
      let all = try MemoryTransport.run(count) { try Self.train(options, $0) }
      for rank in all.dropFirst() {
        #expect(rank.values == all[0].values && rank.losses == all[0].losses)
        #expect(rank.positions == all[0].positions)
      }
      #expect(all[0].losses.count == one.losses.count && all[0].stages == one.stages)
      let distances = zip(all[0].losses, one.losses).map { abs($0 - $1) }
      let selecting = zip(distances, one.stages).filter { $1 != .fixed }.map(\.0)
      #expect(selecting.allSatisfy { $0 < 1e-3 }, "\(count) ranks")
      // Rounding may decide which of two positions at the cut is kept.
      #expect(distances.allSatisfy { $0 < 0.02 }, "\(count) ranks")
      let common = Set(all[0].positions).intersection(one.positions)
      #expect(Double(common.count) >= 0.97 * Double(one.positions.count), "\(count) ranks")
      // Once more, the same.
      let again = try MemoryTransport.run(count) { try Self.train(options, $0) }
      #expect(again[0].values == all[0].values && again[0].traffic == all[0].traffic)
    }
  }

  @Test("a selection sends its values and the head alone")
  func traffic() throws {
    let all = try MemoryTransport.run(2) { try Self.train(Self.options(.structured), $0) }
    let steps = zip(all[0].stages, all[0].traffic).filter { $0.0 == .fixed }
    #expect(!steps.isEmpty)
    for (_, bytes) in steps {
      let values = UInt64(4 * (all[0].positions.count + all[0].head))
      // And the loss.
      #expect(bytes >= values && bytes <= values + 16, "\(bytes) for \(values)")
    }
  }

  @Test("gradients that travel in bf16 train nearly the same, with half the bytes")
  func halves() throws {
    let options = Self.options(.full)
    let whole = try MemoryTransport.run(3) { try Self.train(options, $0) }
    let halves = try MemoryTransport.run(3) { ranks in
      ranks.precision = .bf16
      return try Self.train(options, ranks)
    }
    #expect(halves[1].values == halves[0].values && halves[2].values == halves[0].values)
    #expect(halves[0].values != whole[0].values)
    let distance = zip(halves[0].losses, whole[0].losses).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(distance < 0.05)
    let (few, many) = (halves[0].traffic.reduce(0, +), whole[0].traffic.reduce(0, +))
    #expect(Double(few) < 0.6 * Double(many), "\(few) of \(many)")
  }

  @Test("ranks that differ, or of which one fails, all end with an error that names it")
  func differences() throws {
    let failures = try MemoryTransport.run(3) { ranks -> String in
      var options = Self.options(.full)
      if ranks.rank == 2 { options.seed = 9 }
      do { _ = try Self.train(options, ranks) } catch { return "\(error) \(ranks.areLeaving)" }
      return "trained"
    }
    #expect(Set(failures).count == 1)
    #expect(failures[0].contains("rank 2 on thread 2") && failures[0].hasSuffix("true"))
    let errors = try MemoryTransport.run(3) { ranks -> String in
      do throws(DiffError) {
        try ranks.agree { () throws(DiffError) in
          if ranks.rank == 1 { throw DiffError(.usage, "this one cannot") }
        }
      } catch { return "\(error)" }
      return "agreed"
    }
    #expect(errors == ["rank 1: this one cannot", "this one cannot", "rank 1: this one cannot"])
  }
}
