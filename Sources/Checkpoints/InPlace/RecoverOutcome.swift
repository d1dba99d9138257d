/// What `recover` did.
public enum RecoverOutcome: Sendable, Hashable {
  /// So many files are as they were before the change.
  case restored(files: Int)
  /// No change was interrupted.
  case nothingToDo
}
