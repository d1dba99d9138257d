import ArgumentParser
import TensorCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The command line: `diffkit SUBCOMMAND …`.
public struct DiffKit: ParsableCommand {
  /// Name, help and subcommands.
  public static let configuration = CommandConfiguration(
    commandName: "diffkit",
    abstract: "Sparse diffs of model checkpoints: make, apply, revert, look into, verify.",
    discussion: """
      A diff holds what a finetune changed: positions and new bits, or float16 additions.

      Exit codes: 0 done or same, 1 different, 2 trouble.
      """,
    version: "0.1.0",
    subcommands: [
      CreateCommand.self, ApplyCommand.self, RevertCommand.self, InspectCommand.self,
      StatsCommand.self, VerifyCommand.self, QuickstartCommand.self,
    ])

  /// For ArgumentParser.
  public init() {}

  /// Runs the command line and ends the process.
  public static func run() -> Never {
    // A closed pipe is an error of `write`, to be told like any other.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
      exit(0)
    } catch let status as ExitStatus {
      exit(status.rawValue)
    } catch let error as DiffError {
      complain(error.description)
    } catch {
      // Help and version are "errors" of the parser too, with exit code 0.
      let message = fullMessage(for: error)
      guard exitCode(for: error) == .success else { complain(message, prefix: "") }
      do { try StandardOutput.write(message + "\n") } catch { complain(error.description) }
      exit(0)
    }
  }

  private static func complain(_ message: String, prefix: String = "diffkit: ") -> Never {
    StandardError.write(prefix + message + "\n")
    exit(2)
  }
}

/// Ends a command with another exit code than 0, everything having been said.
enum ExitStatus: Int32, Error {
  case different = 1
}
