import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import Platform
import SystemSupport
import TensorCore

/// The training of one task, from its files to the diff and its scores.
struct TaskTraining {
  private let job: TrainingJob
  private let command: TrainCommand
  private let interrupt: Interrupt
  private let ranks: Ranks
  private let task: String
  private let expectedData: String?
  private let isResuming: Bool
  /// True if there was the state of a stopped training.
  private let hadState: Bool
  let output: String
  private let statePath: String
  private let line: TrainingLine
  /// That of the first rank. Opened first: an output that cannot be written is told before hours of
  /// work.
  private let sink: FileSink?

  /// - Parameters:
  ///   - ranks: The processes that train; the first one writes.
  ///   - data: The fingerprint that the rows must have, or nil.
  ///   - notes: Notes for the user on the settings.
  init(
    _ job: TrainingJob, _ command: TrainCommand, _ interrupt: Interrupt, _ ranks: Ranks,
    resuming: Bool, data: String? = nil, notes: [String] = []
  ) throws {
    guard let task = job.task, let output = job.destination else {
      throw DiffError(.usage, "no task to train on")
    }
    try job.check()
    let line = TrainingLine(command.report, isMute: !ranks.isFirst)
    for note in notes { line.note(note) }
    var job = job
    job.options = job.options.resolved
    job.precision = try command.precision.resolved(or: job.precision, line.note)
    self.job = job
    self.command = command
    self.interrupt = interrupt
    self.ranks = ranks
    self.task = task
    self.line = line
    expectedData = data
    isResuming = resuming
    self.output = output
    statePath = TrainingJob.statePath(of: output)
    let inputs = [command.base, task] + [job.dev].compactMap(\.self)
    try check(output: output, isNoneOf: inputs)
    if let metrics = job.metrics {
      try check(output: metrics, isNoneOf: inputs + [output])
      guard !OutputFile.areSamePath(metrics, output) else {
        throw DiffError(.usage, "is the diff; choose another name for the metrics", path: metrics)
      }
    }
    hadState = job.hasState
    guard resuming || command.anew || !ranks.isFirst || !hadState else {
      throw DiffError(
        .exists, "is the state of a stopped training", path: statePath,
        remedy: .resumeOrStartAnew)
    }
    guard job.options.best != true || job.dev != nil else {
      throw DiffError(.usage, "the best epoch is chosen by the score on dev rows; give --dev")
    }
    sink = ranks.isFirst ? try FileSink(output, overwriting: command.outputs.force) : nil
  }

  /// What the training needs.
  private struct Inputs {
    let checkpoint: any Checkpoint
    let configuration: EncoderConfiguration
    let data: TaskSet
    let dev: TaskSet?
    let facts: TaskFacts
    let model: EncoderModel
  }

  /// Trains and writes the diff.
  ///
  /// - Returns: What was made; nil on all ranks but the first.
  func run() throws -> TrainingOutput? {
    line.start()
    let inputs = try ranks.together(read)
    guard case .finished(let finetune) = try train(inputs) else {
      throw DiffError(.stopped, "stopped", path: statePath, remedy: .resume)
    }
    return try finish(finetune, inputs)
  }

  private func read() throws -> Inputs {
    let checkpoint = try CheckpointFile.open(command.base)
    let configuration = try command.files.configuration(beside: command.base)
    let tokenizer = try command.files.tokenizer(beside: command.base)
    let maxLength = min(job.maxLength, configuration.longest)
    let data = try TaskSet(task, job.table, tokenizer, maxLength: maxLength)
    if let expectedData, data.fingerprint.description != expectedData {
      throw DiffError(
        .mismatch, "are not the rows that the diff was trained on; give --task to train on them",
        path: task)
    }
    line.say("\(task): \(data.description.summary)")
    if let balance = data.description.balance { line.say("\(task): \(balance)") }
    for note in data.notes(task, maxLength: maxLength) { line.note(note) }
    var facts = TaskFacts(
      kind: data.description.kind, pooling: job.pooling, maxLength: maxLength,
      isPair: data.description.isPair)
    facts.columns = TaskColumns(
      texts: job.texts.filter { Int($0) == nil },
      label: job.label.flatMap { Int($0) == nil ? $0 : nil })
    let engine = try Engine(threads: job.threads, precision: job.precision)
    let model = try EncoderModel(
      configuration, checkpoint: checkpoint, head: facts.head, pooling: job.pooling,
      engine: engine)
    try model.checkStoredHead()
    if model.headIsStored {
      line.note("\(command.base): has a head of the task's shape, which is trained further")
    }
    if let weights = job.options.classWeights { try model.weigh(weights, data.examples) }
    // Without a pooler, it differs from the one specified.
    facts.pooling = model.pooling
    for note in model.notes + [model.note(on: tokenizer)].compactMap(\.self) { line.note(note) }
    let dev = try job.dev.map { path throws(DiffError) in
      let dev = try TaskSet(path, job.table, kind: facts.kind, tokenizer, maxLength: maxLength)
      try facts.check(dev, path: path)
      for note in dev.notes(path, maxLength: maxLength) { line.note(note) }
      return dev
    }
    return Inputs(
      checkpoint: checkpoint, configuration: configuration, data: data, dev: dev, facts: facts,
      model: model)
  }

  private func train(_ inputs: Inputs) throws -> Trainer<EncoderModel>.Outcome {
    let (model, facts) = (inputs.model, inputs.facts)
    let trainer = try ranks.together { try Trainer(model, inputs.data.examples, job.options) }
    trainer.ranks = ranks
    ranks.precision = job.traffic ?? .f32
    trainer.otherRanks = { count in
      line.note(
        "\(statePath): was saved by \(count == 1 ? "one process" : "\(count) processes"), not "
          + "\(ranks.count): what follows is equal within rounding, not bit by bit")
    }
    trainer.context = inputs.data.fingerprint.description
    trainer.statePath = statePath
    trainer.secondsBetweenSaves = command.saveEvery
    trainer.saveFailed = { line.note("the state could not be saved: \($0.line(\.commandLine))") }
    trainer.bestScore = job.options.best == true ? facts.mainScore : nil
    if let dev = inputs.dev {
      trainer.evaluate = { values throws(DiffError) in
        dev.scores(
          try model.predictions(of: dev.examples, at: values, sharedBy: ranks), facts)
      }
    }
    let metrics = try ranks.together {
      guard let path = job.metrics, ranks.isFirst else { return nil as MetricsFile? }
      // A training that starts anew replaces the metrics of the stopped one.
      return try MetricsFile(
        path, resuming: isResuming, overwriting: command.outputs.force || hadState)
    }
    var trouble: DiffError?
    var last: TrainingProgress?
    let examples = inputs.data.examples
    var trend = LossTrend(guess: model.constantLoss(of: examples), examples: examples.count)
    var steps = 0
    let outcome = try trainer.run(resuming: isResuming) { progress in
      if let last, last.stage == .gates, progress.stage != .gates { noteGates(last) }
      last = progress
      trend.add(progress)
      steps += 1
      line.show(progress)
      do throws(DiffError) { try metrics?.write(progress) } catch { trouble = error }
      return interrupt.isPending || trouble != nil ? .stop : .more
    }
    if let trouble { throw trouble }
    if ranks.count > 1 {
      line.say(
        "\(ranks.count) processes: the first handed \(ranks.traffic.bytes) to MPI, "
          + "\((ranks.traffic / UInt64(max(1, steps))).bytes) a step")
    }
    if case .finished = outcome {
      if let best = trainer.best {
        line.say("epoch \(best.epoch + 1) is kept: \(facts.mainScore) \(best.score.fixed(4))")
      } else if let note = trend.note {
        line.note(note)
      }
    }
    return outcome
  }

  /// Adds a note if the share of open gates is far from the density when their stage ends.
  private func noteGates(_ progress: TrainingProgress) {
    guard let open = progress.openDensity else { return }
    let density = job.options.density
    let isFixed = job.options.lambda != nil
    if open > 3 * density {
      line.note(
        "\(open.percent) of the gates are open at the end of their stage, far above the density of "
          + "\(density.percent); to close more, give "
          + (isFixed ? "a greater --lambda" : "more --epochs"))
    } else if open < 0.5 * density {
      line.note(
        "\(open.percent) of the gates are open at the end of their stage, far below the density of "
          + "\(density.percent); to keep more, give "
          + (isFixed ? "a smaller --lambda" : "more --epochs"))
    }
  }

  /// Makes the diff, tells what base and diff together are worth, and writes both.
  private func finish(_ finetune: Finetune, _ inputs: Inputs) throws -> TrainingOutput? {
    let (checkpoint, facts) = (inputs.checkpoint, inputs.facts)
    let threads = inputs.model.engine.threads
    var metadata = facts.metadata
    var job = job
    (job.output, job.metrics) = (nil, nil)
    job.threads = threads
    metadata[TrainingJob.key] = try job.json
    metadata[TrainingJob.dataKey] = inputs.data.fingerprint.description
    metadata[TrainingJob.versionKey] = DiffKitVersion.current
    metadata[TrainingJob.processorKey] = Engine.instructions
    if ranks.count > 1 { metadata[TrainingJob.ranksKey] = "\(ranks.count)" }
    metadata.merge(command.metadata.values) { $1 }
    let memory = MemorySink()
    let values = try finetune.write(checkpoint, into: memory, metadata: metadata)
    let diff = try DiffReader(bytes: memory.bytes)
    var scores: [String: Double] = [:]
    if let dev = inputs.dev {
      let tuned = try TunedCheckpoint(checkpoint, [diff])
      // In float32, as in `evaluate`, whatever the precision of the training.
      let model = try EncoderModel(
        inputs.configuration, checkpoint: tuned, head: facts.head, pooling: facts.pooling,
        engine: Engine(threads: threads))
      let values = FloatBuffer(count: model.layout.count)
      try model.initialize(values, seed: 0)
      scores = dev.scores(
        try model.predictions(of: dev.examples, at: values, sharedBy: ranks), facts)
      for (name, value) in scores { metadata["score.\(name)"] = "\(value)" }
    }
    let size = try ranks.together { try write(diff, metadata) }
    if let wanted = finetune.wanted, finetune.positions.count < wanted {
      line.note(
        "\(finetune.positions.count.counted("position")) left, fewer than the "
          + "\(UInt64(wanted).grouped) that the density allows")
    }
    guard let size else { return nil }
    return TrainingOutput(
      output: output, size: size, values: values,
      elements: UInt64(finetune.layout.bodyCount), density: finetune.density, scores: scores,
      notes: line.notes)
  }

  /// Writes the diff under its name.
  ///
  /// - Returns: Its bytes; nil on all ranks but the first.
  private func write(_ diff: DiffReader, _ metadata: [String: String]) throws -> UInt64? {
    guard let sink else { return nil }
    try diff.write(into: sink, metadata: metadata)
    do throws(DiffError) { try sink.commit() } catch {
      guard error.code == .exists else { throw error }
      let other = try keep(diff, metadata)
      removeState()
      throw DiffError(
        .exists, "appeared during the training and is kept; the result is '\(other)'",
        path: output)
    }
    removeState()
    return try File(output).size
  }

  private func removeState() {
    _ = unsafe unlink(statePath)
    _ = unsafe unlink(statePath + ".best")
  }

  /// Writes the result beside an output that appeared meanwhile, under the first unused name.
  private func keep(_ diff: DiffReader, _ metadata: [String: String]) throws -> String {
    for number in 2...1000 {
      let path = derivedName(output, ["\(number)"])
      if File.exists(path) { continue }
      do throws(DiffError) {
        let sink = try FileSink(path)
        try diff.write(into: sink, metadata: metadata)
        try sink.commit()
        return path
      } catch {
        guard error.code == .exists else { throw error }
      }
    }
    throw DiffError(.exists, "appeared during the training", path: output, remedy: .overwrite)
  }
}

extension TaskFacts {
  /// The score by which models are compared.
  var mainScore: String {
    switch kind {
    case .classification: "accuracy"
    case .regression: "pearson"
    case .spans: "f1"
    }
  }
}

/// The output of `train` for one task.
struct TrainingOutput: CommandOutput {
  let output: String
  /// The size of the diff in bytes.
  let size: UInt64
  /// The number of elements that change, and of all elements.
  let values, elements: UInt64
  let density: Double
  /// The scores of base + diff, as stored, on dev rows.
  let scores: [String: Double]
  /// Notes on unusual conditions.
  let notes: [String]

  var text: String {
    let lines =
      [
        "\(output.escapingControls): \(size.bytes), \(values.counted("value")) "
          + "(\(density.percent) of \(elements.grouped)), and the head"
      ]
      + scores.sorted { $0.key < $1.key }
      .map { "\($0.key) of base + diff: \($0.value.fixed(4))" }
    return lines.map { $0 + "\n" }.joined()
  }
}

extension [TrainingOutput] {
  /// A table with a row for each of several trainings.
  var table: String {
    let names = Set(flatMap(\.scores.keys)).sorted()
    var table = TextTable(
      ["diff", "bytes", "values", "density"] + names, rightAligned: Set(1..<4 + names.count))
    for one in self {
      table.add(
        [one.output, one.size.grouped, one.values.grouped, one.density.percent]
          + names.map { one.scores[$0]?.fixed(4) ?? "–" })
    }
    return table.text
  }
}
