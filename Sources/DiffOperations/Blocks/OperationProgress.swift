/// The progress of a long operation.
public struct OperationProgress: Sendable {
  /// The name of the current phase, in a word or two.
  public var phase: String
  /// The number of bytes processed, and of all bytes.
  public var done, total: UInt64
}

/// Receives the progress of a long operation, on the thread that called it.
public typealias ProgressHandler = (OperationProgress) -> Void

/// Counts bytes and reports them to the handler.
struct ProgressCounter {
  private var progress: OperationProgress
  private let handler: ProgressHandler?

  init(_ phase: String, total: UInt64, _ handler: ProgressHandler?) {
    progress = OperationProgress(phase: phase, done: 0, total: total)
    self.handler = handler
  }

  mutating func add(_ bytes: UInt64) {
    progress.done = min(progress.total, progress.done + bytes)
    // `finish` tells the end.
    if progress.done < progress.total { handler?(progress) }
  }

  /// Reports that all is done: not every byte of the total has to be read in every case.
  mutating func finish() {
    progress.done = progress.total
    handler?(progress)
  }
}
