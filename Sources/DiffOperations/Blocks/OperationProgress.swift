/// How far a long operation is.
public struct OperationProgress: Sendable {
  /// What is being done, in a word or two.
  public var phase: String
  /// Bytes done and bytes in all.
  public var done, total: UInt64
}

/// Receives the progress of a long operation, on the thread that called it.
public typealias ProgressHandler = (OperationProgress) -> Void

/// Counts bytes and tells the handler.
struct ProgressCounter {
  private var progress: OperationProgress
  private let handler: ProgressHandler?

  init(_ phase: String, total: UInt64, _ handler: ProgressHandler?) {
    progress = OperationProgress(phase: phase, done: 0, total: total)
    self.handler = handler
  }

  mutating func add(_ bytes: UInt64) {
    progress.done += bytes
    handler?(progress)
  }
}
