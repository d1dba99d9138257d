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
  private let task: String
  private let expectedData: String?
  private let isResuming: Bool
  private let output, statePath: String
  private let line: TrainingLine
  /// Opened first: an output that cannot be written is told before hours of work.
  private let sink: FileSink

  /// - Parameter data: The fingerprint that the rows must have, or nil.
  init(
    _ job: TrainingJob, _ command: TrainCommand, _ interrupt: Interrupt, resuming: Bool,
    data: String? = nil
  ) throws {
    guard let task = job.task, let output = job.destination else {
      throw DiffError(.usage, "no task to learn")
    }
    try job.check()
    let line = TrainingLine(quiet: command.report.isQuiet)
    var job = job
    job.precision = try command.precision.resolved(or: job.precision, line.say)
    self.job = job
    self.command = command
    self.interrupt = interrupt
    self.task = task
    self.line = line
    expectedData = data
    isResuming = resuming
    self.output = output
    statePath = TrainingJob.statePath(of: output)
    let inputs = [command.base, task] + [job.dev].compactMap(\.self)
    try check(output: output, isNoneOf: inputs)
    if let metrics = command.metrics {
      try check(output: metrics, isNoneOf: inputs + [output])
      guard !OutputFile.areSamePlace(metrics, output) else {
        throw DiffError(.usage, "is the diff; choose another name for the metrics", path: metrics)
      }
    }
    sink = try FileSink(output, overwriting: command.outputs.force)
  }

  func run() throws {
    line.start()
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
    for note in data.description.notes { line.say("\(task): \(note)") }
    var facts = TaskFacts(
      kind: data.description.kind, pooling: job.pooling, maxLength: maxLength,
      isPair: data.description.isPair)
    let engine = try Engine(threads: job.threads, precision: job.precision)
    let model = try EncoderModel(
      configuration, checkpoint: checkpoint, head: facts.head, pooling: job.pooling,
      engine: engine)
    // Without a pooler it is another than was asked for.
    facts.pooling = model.pooling
    for note in model.notes { line.say(note) }
    if data.truncated > 0 {
      line.say("\(task): \(data.truncated) texts are cut to \(maxLength) tokens")
    }
    let dev = try job.dev.map { path throws(DiffError) in
      let dev = try TaskSet(path, job.table, kind: facts.kind, tokenizer, maxLength: maxLength)
      try facts.check(dev, path: path)
      return dev
    }

    let trainer = try Trainer(model, data.examples, job.options)
    trainer.context = data.fingerprint.description
    trainer.statePath = statePath
    trainer.secondsBetweenSaves = command.saveEvery
    if let dev {
      trainer.evaluate = { values throws(DiffError) in
        dev.scores(try model.predictions(of: dev.examples, at: values), facts)
      }
    }
    let metrics = try command.metrics.map { path throws(DiffError) in
      try MetricsFile(path, resuming: isResuming, overwriting: command.outputs.force)
    }
    var trouble: DiffError?
    let outcome = try trainer.run(resuming: isResuming) { progress in
      line.show(progress)
      do throws(DiffError) { try metrics?.write(progress) } catch { trouble = error }
      return interrupt.isPending || trouble != nil ? .stop : .more
    }
    if let trouble { throw trouble }
    guard case .finished(let finetune) = outcome else {
      throw DiffError(.stopped, "stopped", path: statePath, remedy: .resume)
    }
    try finish(
      finetune, facts, trainedOn: data, base: checkpoint, configuration, scoredOn: dev,
      threads: engine.threads)
  }

  /// Makes the diff, tells what base and diff together are worth, and writes both.
  private func finish(
    _ finetune: Finetune, _ facts: TaskFacts, trainedOn data: TaskSet,
    base checkpoint: any Checkpoint, _ configuration: EncoderConfiguration,
    scoredOn dev: TaskSet?, threads: Int
  ) throws {
    var metadata = facts.metadata
    var job = job
    job.output = nil
    job.threads = threads
    metadata[TrainingJob.key] = try job.json
    metadata[TrainingJob.dataKey] = data.fingerprint.description
    metadata["train.version"] = DiffKitVersion.current
    let memory = MemorySink()
    let values = try finetune.write(checkpoint, into: memory, metadata: metadata)
    let diff = try DiffReader(bytes: memory.bytes)
    var scores: [String: Double] = [:]
    if let dev {
      let tuned = try TunedCheckpoint(checkpoint, [diff])
      // In float32 whatever the training's precision, as `evaluate` does it.
      let model = try EncoderModel(
        configuration, checkpoint: tuned, head: facts.head, pooling: facts.pooling,
        engine: Engine(threads: threads))
      let values = FloatBuffer(count: model.layout.count)
      try model.initialize(values, seed: 0)
      scores = dev.scores(try model.predictions(of: dev.examples, at: values), facts)
      for (name, value) in scores { metadata["score.\(name)"] = "\(value)" }
    }
    try diff.write(into: sink, metadata: metadata)
    try sink.commit()
    _ = unsafe unlink(statePath)
    if let wanted = finetune.wanted, finetune.positions.count < wanted {
      line.say(
        "\(UInt64(finetune.positions.count).grouped) positions are left, fewer than the "
          + "\(UInt64(wanted).grouped) that the density allows")
    }
    try command.report.print(
      TrainingOutput(
        output: output, size: File(output).size, values: values,
        elements: UInt64(finetune.layout.bodyCount), density: finetune.density, scores: scores))
  }
}

/// What a training made.
private struct TrainingOutput: CommandOutput {
  let output: String
  /// Bytes of the diff.
  let size: UInt64
  /// Elements that change, of so many.
  let values, elements: UInt64
  let density: Double
  /// Of base + diff, as stored, on dev rows.
  let scores: [String: Double]

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
