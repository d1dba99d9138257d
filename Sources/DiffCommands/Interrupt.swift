import Dispatch
import Platform
import Synchronization

/// Records SIGINT and SIGTERM, so that a long command can save its work and stop; a second signal
/// ends the process at once.
final class Interrupt {
  private let flag = Flag()
  private let sources: [any DispatchSourceSignal]

  init() {
    sources = [SIGINT, SIGTERM].map { DispatchSource.makeSignalSource(signal: $0) }
    for (source, number) in zip(sources, [SIGINT, SIGTERM]) {
      // The source receives the signal although it is ignored.
      signal(number, SIG_IGN)
      source.setEventHandler { [flag] in
        if flag.isRaised.exchange(true, ordering: .relaxed) { _exit(128 + number) }
      }
      source.resume()
    }
  }

  /// True if the command should stop.
  var isPending: Bool { flag.isRaised.load(ordering: .relaxed) }

  private final class Flag: Sendable {
    let isRaised = Atomic(false)
  }
}
