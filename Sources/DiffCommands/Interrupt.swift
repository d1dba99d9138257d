import Dispatch
import Platform
import Synchronization

/// Notes Ctrl-C (and the polite signals to end), so that a long command can save its work and stop;
/// a second one ends the process at once.
final class Interrupt {
  private let flag = Flag()
  private let sources: [any DispatchSourceSignal]

  /// - Parameter more: Signals that mean the same, beside SIGINT and SIGTERM.
  init(_ more: [Int32] = []) {
    let numbers = [SIGINT, SIGTERM] + more
    sources = numbers.map { DispatchSource.makeSignalSource(signal: $0) }
    for (source, number) in zip(sources, numbers) {
      // The source sees the signal although it is ignored.
      signal(number, SIG_IGN)
      source.setEventHandler { [flag] in
        if flag.isRaised.exchange(true, ordering: .relaxed) { _exit(128 + number) }
      }
      source.resume()
    }
  }

  /// Whether to stop.
  var isPending: Bool { flag.isRaised.load(ordering: .relaxed) }

  private final class Flag: Sendable {
    let isRaised = Atomic(false)
  }
}
