import DiffTraining

/// The mean loss of each epoch of a training, which tells whether anything was learned, and kept.
struct LossTrend {
  /// The loss of the best answer that is the same for every example; nil if there is none.
  private let guess: Double?
  /// The number of examples in a whole epoch.
  private let examples: Int
  private var epochs: [Epoch] = []

  private struct Epoch {
    let stage: TrainingProgress.Stage
    let number: Int
    var loss = 0.0
    var examples = 0
    var mean: Double { loss / Double(max(1, examples)) }
  }

  init(guess: Double?, examples: Int) { (self.guess, self.examples) = (guess, examples) }

  mutating func add(_ progress: TrainingProgress) {
    guard progress.stage != .fisher else { return }
    if epochs.last?.stage != progress.stage || epochs.last?.number != progress.epoch {
      epochs.append(Epoch(stage: progress.stage, number: progress.epoch))
    }
    epochs[epochs.count - 1].loss += progress.loss * Double(progress.examples)
    epochs[epochs.count - 1].examples += progress.examples
  }

  /// A note if the last epoch is hardly better than the best guess, or has lost most of what the
  /// stage before had learned. Of epochs in which a training was resumed, nothing is said.
  var note: String? {
    guard let guess, let epoch = epochs.last, epoch.examples == examples else { return nil }
    let last = epoch.mean
    let before = epochs.last { $0.stage != epoch.stage && $0.examples == examples }?.mean
    if let before, last > before + 0.5 * max(0, guess - before), before < 0.97 * guess {
      return "the loss ended at \(last.fixed(3)), far above the \(before.fixed(3)) before the "
        + "selection was fixed: try more --fixed-epochs, another --lr-fixed, or a greater --density"
    }
    if last > 0.97 * guess {
      return "the loss ended at \(last.fixed(3)), and is \(guess.fixed(3)) if every row gets the "
        + "same answer: hardly anything was learned; try more epochs or other learning rates"
    }
    return nil
  }
}
