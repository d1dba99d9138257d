import ArgumentParser
import Checkpoints
import DiffFormat
import DiffOperations
import DiffTraining
import Kernels
import Platform
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
      A build with Open MPI trains on many machines: mpirun -n 4 diffkit train ...
      """)

  @Argument(help: "The base checkpoint.", completion: .file()) var base: String
  @OptionGroup var outputs: OutputOptions
  @OptionGroup var files: ModelFiles

  @Option(help: "The rows to train on.", completion: .file()) var task: String?
  @Option(help: "Rows to evaluate on.", completion: .file()) var dev: String?

  @Option(
    help: "A JSON file of several tasks: objects with task, dev, output, options (spec/GUIDE.md).",
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

  @Option(help: "What gradients travel in between processes started by mpirun (f32).")
  var traffic: Precision?

  @Option(help: "Seconds that processes started by mpirun wait for each other.")
  var timeout = 60.0

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
    guard metrics != "-" else {
      throw ValidationError("--metrics names a file; standard output has the result")
    }
    guard saveEvery > 0 else { throw ValidationError("--save-every must be above 0") }
    guard timeout >= 1 && timeout <= 86400 else {
      throw ValidationError("--timeout must be 1 ... 86400 seconds")
    }
  }

  func run() throws {
    let ranks: Ranks
    do {
      try Engine.requireAvailable()
      ranks = try Ranks.joined()
    } catch {
      if Ranks.isLaunchedAsOther { return }
      throw error
    }
    ranks.timeout = timeout
    try ranks.run { try run(with: ranks) }
  }

  private func run(with ranks: Ranks) throws {
    try ranks.require(same: [
      ("another version of diffkit", DiffKitVersion.current),
      ("another processor", Engine.instructions),
    ])
    let notes = try source.map { try ranks.isFirst ? repetitionNotes($0, ranks) : [] } ?? []
    var job = try ranks.together { try makeJob() }
    // What is not given is as every rank has it.
    if ranks.count > 1 {
      let processors = try ranks.processors
      job.threads = job.threads ?? processors
    }
    // mpirun passes SIGUSR1 on, and waits.
    let interrupt = Interrupt(ranks.count > 1 ? [SIGUSR1] : [])
    if tasks == nil {
      job.metrics = metrics
      // A repetition is one on the same data; other data must be named.
      let data = try ranks.together {
        try task == nil ? source.map { try TrainingJob.data(of: $0) } : nil
      }
      let training = try ranks.together {
        try TaskTraining(job, self, interrupt, ranks, resuming: resume, data: data, notes: notes)
      }
      if let made = try training.run() { try report.print(made) }
    } else {
      try runTasks(job, interrupt, ranks, notes)
    }
  }

  /// What is asked for, but for the files of several tasks.
  private func makeJob() throws -> TrainingJob {
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
    if let traffic { job.traffic = traffic == .f32 ? nil : traffic }
    // Of a diff, several tasks take over how it was trained, not on what.
    if tasks != nil { (job.task, job.dev) = (nil, dev) }
    return job
  }

  /// Trains one task after the other, and goes on where another program has written an output.
  private func runTasks(
    _ job: TrainingJob, _ interrupt: Interrupt, _ ranks: Ranks, _ notes: [String]
  ) throws {
    guard let tasks else { return }
    let list = try ranks.together {
      try TrainingJob.list(tasks, over: job).map { job in
        var job = job
        if let metrics, job.metrics == nil, let output = job.destination {
          job.metrics = derivedName(metrics, [stem(output)])
        }
        return job
      }
    }
    let areFinished = try ranks.first(list.map { ranks.isFirst && isFinished($0) })
    let isResuming = try ranks.first(list.map { resume && $0.hasState })
    // All outputs are opened before the work begins.
    let trainings = try ranks.together {
      try list.indices.filter { !areFinished[$0] }.map {
        try TaskTraining(
          list[$0], self, interrupt, ranks, resuming: isResuming[$0], notes: $0 == 0 ? notes : [])
      }
    }
    var made: [TrainingOutput] = []
    var appeared: DiffError?
    for (number, training) in trainings.enumerated() {
      if !report.isQuiet && ranks.isFirst {
        let name = training.output.escapingControls
        StandardError.write("\n\(name) (\(number + 1) of \(trainings.count))\n")
      }
      do {
        guard let output = try training.run() else { continue }
        made.append(output)
        try report.print(output)
      } catch let error as DiffError where error.code == .exists && ranks.count == 1 {
        if let appeared { StandardError.write("diffkit: \(appeared.line(\.commandLine))\n") }
        appeared = error
      }
    }
    if !report.isQuiet && made.count > 1 { try StandardOutput.write("\n" + made.table) }
    if let appeared { throw appeared }
  }

  /// Returns notes if the base is not the one that a diff was trained from, or if the bytes will be
  /// others for another reason.
  private func repetitionNotes(_ source: String, _ ranks: Ranks) throws -> [String] {
    let diff = try DiffReader(source)
    var notes: [String] = []
    if try Diffs.verify(diff, against: CheckpointFile.open(base)).checkpoint != .base {
      notes.append("\(base): is not the checkpoint that \(source) was trained from")
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
    if let made = Int(diff.metadata[TrainingJob.ranksKey] ?? "1"), made != ranks.count {
      reasons.append("by \(made == 1 ? "one process" : "\(made) processes")")
    }
    guard !reasons.isEmpty else { return notes }
    notes.append(
      "\(source): was made \(reasons.joined(separator: ", and ")); the same training may give "
        + "different bytes")
    return notes
  }

  /// Returns whether one of several tasks is finished, so that it is not resumed; if so, prints it.
  private func isFinished(_ job: TrainingJob) -> Bool {
    guard resume, !job.hasState, let output = job.destination, File.exists(output),
      var made = try? TrainingJob(repeating: output)
    else { return false }
    // Settings that depend on the machine may differ.
    (made.output, made.threads, made.precision) = (job.output, job.threads, job.precision)
    made.metrics = job.metrics
    var job = job
    (made.options, job.options) = (made.options.resolved, job.options.resolved)
    guard (try? made.json) == (try? job.json) else { return false }
    if !report.quiet.quiet { StandardError.say("\(output): is finished") }
    return true
  }
}
