import Dispatch
import Platform
import Synchronization

/// Notes Ctrl-C (and the polite signal to end), so that a long command can save its work and stop;
/// a second one ends the process at once.
final class Interrupt {
  private let flag = Flag()
  private let sources: [any DispatchSourceSignal]

  init() {
    sources = [SIGINT, SIGTERM].map { DispatchSource.makeSignalSource(signal: $0) }
    for (source, number) in zip(sources, [SIGINT, SIGTERM]) {
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
