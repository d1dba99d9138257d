import DiffTraining
import TensorCore

/// The progress of a training: on a terminal a line that is updated, else a line every 10 seconds.
final class TrainingLine {
  private let clock = ContinuousClock()
  private var started: ContinuousClock.Instant
  /// True if progress is not printed, and if notes are not printed either.
  private let isQuiet, isSilent: Bool
  /// The notes so far.
  private(set) var notes: [String] = []
  private var shown: ContinuousClock.Instant
  private var firstStep: Int?
  private var loss: Double?
  private var examples = 0
  private var stage: TrainingProgress.Stage?

  /// - Parameter isMute: Whether another process says the same.
  init(_ report: ReportOptions, isMute: Bool = false) {
    isQuiet = report.isQuiet || isMute
    isSilent = report.quiet.quiet || isMute
    started = clock.now
    shown = clock.now
  }

  deinit { if !isQuiet && StandardError.isTerminal { StandardError.write("\r\u{1B}[K") } }

  /// Starts to measure time.
  func start() { started = clock.now }

  func show(_ progress: TrainingProgress) {
    // Steps that were done before a training was resumed took no time in this run.
    let first = firstStep ?? progress.step - 1
    firstStep = first
    examples += progress.examples
    loss = loss.map { 0.95 * $0 + 0.05 * progress.loss } ?? progress.loss
    guard !isQuiet else { return }
    let isNew = stage != progress.stage
    stage = progress.stage
    let now = clock.now
    let pause: Duration = StandardError.isTerminal ? .milliseconds(200) : .seconds(10)
    guard isNew || progress.scores != nil || now - shown > pause else { return }
    shown = now
    let elapsed = (now - started) / .seconds(1)
    let perStep = elapsed / Double(max(1, progress.step - first))
    let left = perStep * Double(progress.steps - progress.step)
    var line = "\(Self.name(progress.stage)): step \(progress.step) of \(progress.steps)"
    line += ", loss \((loss ?? 0).fixed(4))"
    if let density = progress.openDensity, let lambda = progress.lambda {
      line += ", open \(density.percent), lambda \(lambda.scientific)"
    }
    line += ", \((Double(examples) / max(elapsed, 1e-3)).fixed(0)) examples/s"
    line += ", \(left.fixed(0)) s left"
    if let scores = progress.scores {
      let parts = scores.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.fixed(4))" }
      say("after epoch \(progress.epoch + 1): " + parts.joined(separator: ", "))
    }
    if StandardError.isTerminal {
      StandardError.write("\r\u{1B}[K" + line)
    } else {
      StandardError.write(line + "\n")
    }
  }

  /// Writes a line that is not overwritten.
  func say(_ line: String) { if !isQuiet { write(line) } }

  /// Writes a note, which is in the output of the command too.
  func note(_ line: String) {
    notes.append(line)
    if !isSilent { write(line) }
  }

  private func write(_ line: String) {
    let start = StandardError.isTerminal ? "\r\u{1B}[K" : ""
    StandardError.write(start + line.escapingControls + "\n")
  }

  private static func name(_ stage: TrainingProgress.Stage) -> String {
    switch stage {
    case .gates: "gates"
    case .full: "full"
    case .fisher: "fisher"
    case .fixed: "fixed selection"
    }
  }
}

extension Double {
  /// Two digits and a power of ten.
  fileprivate var scientific: String {
    guard self > 0, isFinite else { return "0" }
    var (mantissa, power) = (self, 0)
    while mantissa < 1 {
      mantissa *= 10
      power -= 1
    }
    while mantissa >= 10 {
      mantissa /= 10
      power += 1
    }
    return mantissa.fixed(1) + "e\(power)"
  }
}
