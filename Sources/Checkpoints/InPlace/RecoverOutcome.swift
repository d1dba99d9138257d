/// What `recover` did; nothing if no change was interrupted.
public struct RecoverOutcome: Sendable, Hashable {
  /// So many files are as they were to be after the change.
  public var completed = 0
  /// So many files are as they were before the change, out of a journal of diffkit 1.0.
  public var restored = 0
}
