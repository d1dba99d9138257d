/// The result of `recover`; both counts are zero if no change was interrupted.
public struct RecoverOutcome: Sendable, Hashable {
  /// The number of files whose change was completed.
  public var completed = 0
  /// The number of files whose change was reverted, from a journal of diffkit 1.0.
  public var restored = 0
}
