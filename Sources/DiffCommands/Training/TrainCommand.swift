import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import Kernels
import SystemSupport
import TensorCore

/// `diffkit train`.
struct TrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Finetune a model on a task, so that few of its weights change.",
    discussion: """
      The task is a table of texts, or pairs of texts, and labels (.tsv, .csv or .jsonl), or a \
      file of questions on contexts in the format of SQuAD (.json). config.json and the tokenizer \
      are read from the folder of the base.

        diffkit train base.h5 --task train.tsv --dev dev.tsv --density 0.005 -o task.diff
        diffkit train base.h5 --from task.diff -o again.diff
        diffkit train base.h5 --tasks tasks.json

      Ctrl-C saves the state beside the output and stops; the same command with --resume goes on.
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @OptionGroup var outputs: OutputOptions
  @OptionGroup var files: ModelFiles

  @Option(help: "The rows to train on.", completion: .file()) var task: String?
  @Option(help: "Rows to evaluate on.", completion: .file()) var dev: String?

  @Option(
    help: "A JSON file of several tasks: objects with task, dev, output, options.",
    completion: .file())
  var tasks: String?

  @Option(
    name: .customLong("from"), help: "Repeat the training that made this diff.",
    completion: .file())
  var source: String?

  @OptionGroup var columns: ColumnOptions
  @OptionGroup var flags: TrainingFlags

  @Option(help: "How a text is pooled: pooler, cls or mean.")
  var pooling: EncoderModel.Pooling?

  @Option(help: "The maximum number of tokens of a text (128).")
  var maxLength: Int?

  @Option(help: "The number of threads; the same number gives the same result bit for bit.")
  var threads: Int?

  @OptionGroup var precision: PrecisionOption

  @Flag(help: "Continue a stopped training.") var resume = false

  @Flag(help: "Start from the beginning, although the state of a stopped training exists.")
  var anew = false

  @Option(help: "Seconds between saves of the state.") var saveEvery = 300.0

  @Option(
    help: """
      A file for the metrics of every step, as lines of JSON; with --tasks, one for each task, \
      named after its output.
      """, completion: .file())
  var metrics: String?

  @OptionGroup var metadata: MetadataOption
  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard task != nil || tasks != nil || source != nil else {
      throw ValidationError("give --task, --tasks or --from")
    }
    guard task == nil || tasks == nil else {
      throw ValidationError("--task and --tasks exclude each other")
    }
    guard tasks == nil || outputs.output == nil else {
      throw ValidationError("with --tasks, the file specifies the outputs")
    }
    guard !resume || !anew else {
      throw ValidationError("--resume and --anew exclude each other")
    }
    guard saveEvery > 0 else { throw ValidationError("--save-every must be above 0") }
  }

  func run() throws {
    try Engine.requireAvailable()
    if let source { try compare(with: source) }
    var job = try source.map { try TrainingJob(repeating: $0) } ?? TrainingJob()
    job.options = flags.applied(to: job.options)
    job.task = task ?? job.task
    // The dev rows of another task do not apply.
    job.dev = task == nil ? dev ?? job.dev : dev
    job.output = outputs.output
    job.take(columns)
    job.pooling = pooling ?? job.pooling
    job.maxLength = maxLength ?? job.maxLength
    job.threads = threads ?? job.threads
    let interrupt = Interrupt()
    if let tasks {
      // Of a diff, these take over how it was trained, not on what.
      (job.task, job.dev) = (nil, dev)
      let list = try TrainingJob.list(tasks, over: job).map { job in
        var job = job
        if let metrics, job.metrics == nil, let output = job.destination {
          job.metrics = derivedName(metrics, [stem(output)])
        }
        return job
      }
      // All outputs are opened before the work begins.
      let trainings = try list.filter { !isFinished($0) }.map {
        try TaskTraining($0, self, interrupt, resuming: resume && $0.hasState)
      }
      var made: [TrainingOutput] = []
      for (number, training) in trainings.enumerated() {
        if !report.isQuiet {
          let name = training.output.escapingControls
          StandardError.write("\n\(name) (\(number + 1) of \(trainings.count))\n")
        }
        made.append(try training.run())
        try report.print(made[number])
      }
      if !report.isQuiet && made.count > 1 { try StandardOutput.write("\n" + made.table) }
    } else {
      job.metrics = metrics
      // A repetition is one on the same data; other data must be named.
      let data = try task == nil ? source.map { try TrainingJob.data(of: $0) } : nil
      try report.print(
        TaskTraining(job, self, interrupt, resuming: resume, data: data).run())
    }
  }

  /// Says so if the base is not the one that a diff was trained from, or if the bytes will be
  /// others for another reason.
  private func compare(with source: String) throws {
    guard !report.quiet.quiet else { return }
    let diff = try DiffReader(source)
    func say(_ note: String) { StandardError.write(note.escapingControls + "\n") }
    if try Diffs.verify(diff, against: CheckpointFile.open(base)).checkpoint != .base {
      say("\(base): is not the checkpoint that \(source) was trained from")
    }
    var reasons: [String] = []
    if let version = diff.metadata[TrainingJob.versionKey], version != DiffKitVersion.current {
      reasons.append("by version \(version), this is \(DiffKitVersion.current)")
    }
    if let processor = diff.metadata[TrainingJob.processorKey], processor != Engine.instructions {
      reasons.append("with other processor instructions (\(processor))")
    }
    if let threads, let made = try TrainingJob(repeating: source).threads, made != threads {
      reasons.append("with \(made) threads")
    }
    guard !reasons.isEmpty else { return }
    say(
      "\(source): was made \(reasons.joined(separator: ", and ")); the same training may give "
        + "different bytes")
  }

  /// Returns whether one of several tasks is finished, so that it is not resumed; if so, prints it.
  private func isFinished(_ job: TrainingJob) -> Bool {
    guard resume, !job.hasState, let output = job.destination, File.exists(output),
      var made = try? TrainingJob(repeating: output)
    else { return false }
    // Settings that depend on the machine may differ.
    (made.output, made.threads, made.precision) = (job.output, job.threads, job.precision)
    made.metrics = job.metrics
    guard (try? made.json) == (try? job.json) else { return false }
    if !report.quiet.quiet { StandardError.write("\(output.escapingControls): is finished\n") }
    return true
  }
}
