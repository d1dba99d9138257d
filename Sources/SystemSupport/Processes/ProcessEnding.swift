/// The way in which a process ended.
package enum ProcessEnding: Sendable, Hashable {
  /// Normally, with a status.
  case exit(Int32)
  /// By a signal.
  case signal(Int32)

  /// Decodes a status of `waitpid`.
  package init(status: Int32) {
    let signal = status & 0x7F
    self = signal == 0 ? .exit(status >> 8 & 0xFF) : .signal(signal)
  }
}
