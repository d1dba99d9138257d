import CForkTrial
import Platform
import TestSupport

// A process that forks while it applies diffs:
//
//   ForkTrial make FOLDER                  makes the files that the others need
//   ForkTrial USE MODE COUNT FOLDER        forks COUNT times; USE is a case of `Trial.Use`, MODE
//                                          one of fork_trial.h
//
// Exit code 0 if all went well; else 1, with a line on standard error for each child that did not
// end well.

@main struct Main {
  static func main() throws {
    let arguments = CommandLine.arguments
    if arguments.count == 3, arguments[1] == "make" {
      return try Trial.make(in: Scratch(path: arguments[2]))
    }
    guard arguments.count == 5, Trial.shared != nil, let count = CInt(arguments[3]) else {
      fatalError("wrong arguments")
    }
    let mode = unsafe arguments[2].withCString { unsafe fork_trial_mode_named($0) }
    precondition(mode >= 0, "no such mode")
    let failures = fork_trial(fork_trial_mode(UInt32(mode)), count, 120) { @Sendable user in
      do { return try Trial.shared?.isRight(for: Int(user)) == true ? 0 : 1 } catch {
        _ = unsafe "\(error)\n".withCString { unsafe write(2, $0, strlen($0)) }
        return 1
      }
    }
    exit(failures == 0 ? 0 : 1)
  }
}
