import DiffFormat
import DiffOperations
import DiffTraining
import Foundation
import TensorCore
import Testing
import TestSupport

@Suite struct TrainerTests {
  static func options(_ method: TrainingOptions.Method) -> TrainingOptions {
    var options = TrainingOptions()
    options.method = method
    options.density = 0.1
    options.epochs = 4
    options.fixedEpochs = 3
    options.batchSize = 8
    options.learningRate = 0.01
    options.fixedLearningRate = 0.01
    options.headLearningRate = 0.01
    options.seed = 3
    return options
  }

  /// The base of the toy model as a checkpoint.
  static func checkpoint(_ model: ToyModel) -> MemoryCheckpoint {
    let values = FloatBuffer(count: model.layout.count)
    model.initialize(values, seed: 0)
    return MemoryCheckpoint(
      model.layout.parameters.filter { !$0.isHead }.map { parameter in
        let bytes = parameter.range.flatMap { values.span[$0].bitPattern.littleEndianBytes }
        return MemoryTensor(parameter.name, .f32, parameter.shape, bytes)
      })
  }

  static func run(
    _ method: TrainingOptions.Method, _ change: (inout TrainingOptions) -> Void = { _ in }
  ) throws -> (Finetune, [Double]) {
    let model = try ToyModel()
    var options = options(method)
    change(&options)
    let trainer = try Trainer(model, model.examples(64, seed: 1), options)
    var losses: [Double] = []
    let outcome = try trainer.run { progress in
      losses.append(progress.loss)
      return .more
    }
    guard case .finished(let finetune) = outcome else { throw Stopped() }
    return (finetune, losses)
  }

  struct Stopped: Error {}

  @Test("frozen parameters keep the values of the base", arguments: Methods.all)
  func frozenParametersStay(_ method: TrainingOptions.Method) throws {
    let (finetune, _) = try Self.run(method) {
      $0.frozen = ["table", "*bias"]
      $0.weightDecay = 0.1
    }
    let free = try #require(finetune.layout["layer.0.weight"]?.range)
    #expect(finetune.positions.allSatisfy { free.contains($0) }, "\(finetune.positions)")
    let usage = #expect(throws: DiffError.self) {
      try Self.run(method) { $0.frozen = ["nothing*"] }
    }
    #expect(usage?.description.contains("nothing*") == true)
  }

  @Test("frozen parameters have no gates that count as open")
  func frozenParametersHaveNoGates() throws {
    let model = try ToyModel()
    func firstOpenDensity(frozen: [String]) throws -> Double {
      var options = Self.options(.structured)
      options.frozen = frozen
      var open: Double?
      _ = try Trainer(model, model.examples(64, seed: 1), options).run { progress in
        open = progress.openDensity
        return .stop
      }
      return try #require(open)
    }
    // At first all gates are open, and all words occur in 8 examples or do not.
    let table = try #require(model.layout["table"]?.range.count)
    let share = Double(table) / Double(model.layout.bodyCount)
    let found = try firstOpenDensity(frozen: ["layer*"])
    #expect(found > 0 && found <= share)
    #expect(try abs(firstOpenDensity(frozen: ["table"]) - (1 - share)) < 1e-9)
  }

  @Test("weight decay makes weights smaller where it is requested")
  func weightsDecay() throws {
    func norm(_ decay: Double) throws -> Float {
      let (finetune, _) = try Self.run(.full) { $0.weightDecay = decay }
      let range = try #require(finetune.layout["table"]?.range)
      return range.reduce(0) { $0 + finetune.values.span[$1] * finetune.values.span[$1] }
    }
    #expect(try norm(0.5) < norm(0))
  }

  @Test(
    "every method lowers the loss, and changes as many elements as allowed", arguments: Methods.all)
  func methodsLearn(_ method: TrainingOptions.Method) throws {
    let (finetune, losses) = try Self.run(method)
    let body = finetune.layout.bodyCount
    let first = losses.prefix(8).reduce(0, +)
    let last = losses.suffix(8).reduce(0, +)
    // These two choose positions independently of the task.
    let share = [.random, .bitfit].contains(method) ? 0.95 : 0.8
    #expect(last < share * first)
    if method.hasDensity {
      #expect(finetune.positions.count == Int(0.1 * Double(body)))
      #expect(finetune.wanted == finetune.positions.count)
    }
    #expect(finetune.positions == finetune.positions.sorted())
  }

  @Test(
    "a run that is stopped and resumed anywhere has the losses of one that is not stopped",
    arguments: Methods.all)
  func resumingChangesNothing(_ method: TrainingOptions.Method) throws {
    let (whole, losses) = try Self.run(method)
    try Scratch.with { folder in
      let model = try ToyModel()
      var found: [Double] = []
      var isResuming = false
      while true {
        // A new trainer each time, as a new process would have.
        let trainer = try Trainer(model, model.examples(64, seed: 1), Self.options(method))
        trainer.statePath = folder("state")
        var left = 5
        let outcome = try trainer.run(resuming: isResuming) { progress in
          found.append(progress.loss)
          left -= 1
          return left == 0 ? .stop : .more
        }
        isResuming = true
        guard case .finished(let finetune) = outcome else { continue }
        #expect(found == losses)
        #expect(finetune.positions == whole.positions)
        #expect(try Self.written(finetune) == Self.written(whole))
        return
      }
    }
  }

  @Test("the best epoch of the last stage is kept, and named", arguments: [0, 1, 2])
  func bestEpochIsKept(_ wanted: Int) throws {
    let model = try ToyModel()
    var options = Self.options(.magnitude)
    options.fixedEpochs = 3
    let examples = model.examples(64, seed: 1)
    var kept: [[Float]] = []
    let whole = try Trainer(model, examples, options)
    whole.evaluate = { values throws(DiffError) in
      let span = values.span
      kept.append(span.indices.map { span[$0] })
      return [:]
    }
    _ = try whole.run { _ in .more }
    try Scratch.with { folder in
      let trainer = try Trainer(model, examples, options)
      trainer.statePath = folder("state")
      trainer.bestScore = "score"
      var calls = 0
      trainer.evaluate = { _ throws(DiffError) in
        calls += 1
        // Higher scores of the first stage do not count.
        let epoch = calls - 1 - options.usedEpochs
        return ["score": epoch < 0 ? 9 : epoch == wanted ? 0.5 : 0.1]
      }
      guard case .finished(let finetune) = try trainer.run({ _ in .more }) else { return }
      #expect(trainer.best?.epoch == wanted && trainer.best?.score == 0.5)
      let span = finetune.values.span
      #expect(span.indices.map { span[$0] } == kept[options.usedEpochs + wanted])
    }
  }

  @Test("a state of other settings, or a damaged one, is refused")
  func foreignStatesAreRefused() throws {
    try Scratch.with { folder in
      let model = try ToyModel()
      let examples = model.examples(64, seed: 1)
      let trainer = try Trainer(model, examples, Self.options(.structured))
      trainer.statePath = folder("state")
      _ = try trainer.run { _ in .stop }
      let others = try [
        Trainer(model, examples, Self.options(.full)),
        Trainer(ToyModel(calculation: "bf16"), examples, Self.options(.structured)),
        Trainer(ToyModel(seed: 98), examples, Self.options(.structured)),
        Trainer(model, model.examples(64, seed: 1), Self.options(.structured)),
      ]
      others[3].context = "other data"
      for (number, other) in others.enumerated() {
        other.statePath = folder("state")
        let refusal = #expect(throws: DiffError.self, "\(number)") {
          try other.run(resuming: true) { _ in .more }
        }
        #expect(refusal?.code == .mismatch, "\(number)")
      }
    }
  }

  @Test("a state with any of its bytes damaged is refused", arguments: [0x04, 0x40] as [UInt8])
  func damagedStatesAreRefused(_ bits: UInt8) throws {
    try Scratch.with { folder in
      let model = try ToyModel()
      let examples = model.examples(64, seed: 1)
      // The state of the first begins with gates, that of the second with positions.
      for method in [TrainingOptions.Method.structured, .random] {
        let trainer = try Trainer(model, examples, Self.options(method))
        trainer.statePath = folder("state")
        _ = try trainer.run { _ in .stop }
        let state = try contents(ofFile: folder("state"))
        let again = try Trainer(model, examples, Self.options(method))
        again.statePath = folder("damaged")
        for place in state.indices {
          var damaged = state
          damaged[place] ^= bits
          try Data(damaged).write(to: URL(filePath: folder("damaged")))
          #expect(throws: DiffError.self, "\(method) \(place)") {
            try again.run(resuming: true) { _ in .stop }
          }
        }
      }
    }
  }

  @Test("a state of the version without a signature is refused as such")
  func oldStatesAreRefused() throws {
    try Scratch.with { folder in
      let model = try ToyModel()
      let trainer = try Trainer(model, model.examples(64, seed: 1), Self.options(.full))
      trainer.statePath = folder("state")
      let old = UInt64(4).littleEndianBytes + Array("text".utf8) + UInt64(0).littleEndianBytes
      for bytes in [old, [], [1, 2, 3]] {
        try Data(bytes).write(to: URL(filePath: folder("state")))
        let refusal = #expect(throws: DiffError.self) {
          try trainer.run(resuming: true) { _ in .more }
        }
        #expect(refusal?.code == .unsupportedVersion && refusal?.path == folder("state"))
      }
    }
  }

  @Test("the base is read once if gates hold it")
  func baseIsReadOnce() throws {
    let model = try ToyModel()
    let trainer = try Trainer(model, model.examples(64, seed: 1), Self.options(.structured))
    guard case .finished = try trainer.run({ _ in .more }) else { throw Stopped() }
    #expect(model.initializations == 1)
  }

  @Test("the diff holds every position, and gives the trained values on the base, to float16")
  func diffsHoldWhatWasLearned() throws {
    for method in Methods.all {
      let (finetune, _) = try Self.run(method)
      let model = try ToyModel()
      let base = Self.checkpoint(model)
      let diff = try DiffReader(bytes: Self.written(finetune))
      let added = diff.filter { $0.name != "head" }.reduce(0) { $0 + $1.count }
      #expect(added == UInt64(finetune.positions.count))
      #expect(diff.contains { $0.name == "head" && $0.operation == .insert })
      let tuned = try TunedCheckpoint(base, [diff])
      for parameter in finetune.layout.parameters {
        let tensor = try #require(tuned.tensors.first { $0.name == parameter.name })
        var bytes = [UInt8](repeating: 0, count: parameter.range.count * 4)
        var span = bytes.mutableSpan
        try tuned.read(tensor, at: 0, into: &span)
        for (i, place) in parameter.range.enumerated() {
          let pattern = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[i * 4 + $1]) << ($1 * 8) }
          #expect(abs(Float(bitPattern: pattern) - finetune.values.span[place]) < 1e-3)
        }
      }
    }
  }

  @Test("a second run of a trainer repeats the first")
  func runsAreEqual() throws {
    let model = try ToyModel()
    let trainer = try Trainer(model, model.examples(64, seed: 1), Self.options(.structured))
    var written: [[UInt8]] = []
    for _ in 0..<2 {
      guard case .finished(let finetune) = try trainer.run({ _ in .more }) else { return }
      try written.append(Self.written(finetune))
    }
    #expect(written[0] == written[1])
  }

  @Test("random positions are as many as allowed, and none is frozen")
  func randomPositions() throws {
    let (finetune, _) = try Self.run(.random) {
      $0.frozen = ["layer*"]
      $0.density = 0.5
    }
    #expect(finetune.positions.count == finetune.layout.bodyCount / 2)
    let table = try #require(finetune.layout["table"]?.range)
    #expect(finetune.positions.allSatisfy { table.contains($0) })
  }

  @Test("fewer positions than requested, only if fewer gates are open")
  func shortfallsAreTold() throws {
    let (finetune, _) = try Self.run(.structured) {
      $0.lambda = 100
      $0.epochs = 30
    }
    #expect(finetune.positions.count < (finetune.wanted ?? 0))
    #expect(finetune.densityBefore == finetune.density)
  }

  @Test("invalid settings are refused")
  func nonsenseIsRefused() throws {
    let model = try ToyModel()
    let examples = model.examples(4, seed: 1)
    let changes: [(inout TrainingOptions) -> Void] = [
      { $0.density = 0 }, { $0.density = .nan }, { $0.epochs = 0 }, { $0.batchSize = 0 },
      { $0.learningRate = -1 }, { $0.lambda = -1 }, { $0.warmUp = 1 }, { $0.clip = 0 },
    ]
    for change in changes {
      var options = TrainingOptions()
      change(&options)
      #expect(throws: DiffError.self) { try Trainer(model, examples, options) }
    }
    #expect(throws: DiffError.self) { try Trainer(model, [], TrainingOptions()) }
  }

  private static func written(_ finetune: Finetune) throws -> [UInt8] {
    let sink = MemorySink()
    try finetune.write(checkpoint(ToyModel()), into: sink, metadata: ["task": "toy"])
    return sink.bytes
  }

  enum Methods { static let all = TrainingOptions.Method.allCases }
}
