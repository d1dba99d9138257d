import ArgumentParser
import DiffOperations
import Platform
import SystemSupport
import TensorCore

/// Runs a command line, by default that of this process, and ends the process.
public func runCommandLine(_ arguments: [String]? = nil) -> Never {
  StandardStreams.occupy()
  // A closed pipe and a limit on the size of files are errors of `write`, reported like any other.
  for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
  SignalHandling.begin()
  let words = arguments ?? Array(ProgramArguments.words.dropFirst())
  var isVerify = false
  do {
    if arguments == nil { try refuseBrokenArguments() }
    var command = try DiffKit.parseAsRoot(words)
    isVerify = command is VerifyCommand
    try command.run()
    end(0)
  } catch let status as ExitStatus {
    end(status.rawValue)
  } catch let error as DiffError {
    // For an invalid diff, `verify` also prints the class of spec/FORMAT.md, section 10.
    fail(ErrorOutput(error, showsCode: isVerify), words)
  } catch {
    // Help and version are "errors" of the parser too, with exit code 0.
    let text = DiffKit.fullMessage(for: error)
    guard DiffKit.exitCode(for: error) == .success else {
      let unknown = unknownCommand(words)
      fail(
        ErrorOutput(
          usage: unknown ?? DiffKit.message(for: error),
          text: unknown.map { "diffkit: \($0)\nSee 'diffkit --help'." } ?? text), words)
    }
    do { try StandardOutput.write(text + "\n") } catch { fail(ErrorOutput(error), words) }
    end(0)
  }
}

/// Refuses arguments that are not UTF-8: Swift repairs them, and the result may name another file.
private func refuseBrokenArguments() throws(DiffError) {
  guard let broken = ProgramArguments.firstRepaired else { return }
  throw DiffError(
    .usage, "is not UTF-8; rename the file, or make a link to it with a UTF-8 name",
    path: broken)
}

/// Returns the error message if the first word is neither a command nor an option.
private func unknownCommand(_ arguments: [String]) -> String? {
  let commands = DiffKit.configuration.subcommands.compactMap { $0.configuration.commandName }
  guard let word = arguments.first, !word.hasPrefix("-"), word != "help", !commands.contains(word)
  else { return nil }
  let distances = commands.map { ($0, CloseNames.distance(Array(word.utf8), Array($0.utf8))) }
  let closest = distances.min { $0.1 < $1.1 }
  let hint = closest.flatMap { $0.1 <= max(2, word.count / 3) ? "; did you mean '\($0.0)'?" : nil }
  return "there is no command '\(word)'\(hint ?? "")".escapingControls
}

private func fail(_ error: ErrorOutput, _ words: [String]) -> Never {
  StandardError.write(error.text)
  if printsJSON(words) { try? error.print(json: true) }
  end(2)
}

/// Returns whether an error is also printed as JSON: not if standard output is to hold a diff.
private func printsJSON(_ words: [String]) -> Bool {
  let options = words.prefix { $0 != "--" }
  guard options.contains("--json"), !options.contains("--output=-") else { return false }
  // The word before a '-' that names the output; for `convert`, it is the input.
  let isBeforeOutput: (String) -> Bool =
    words[0] == "convert" ? { $0 != "convert" } : { $0 == "-o" || $0 == "--output" }
  return !zip(options, options.dropFirst()).contains { $1 == "-" && isBeforeOutput($0) }
}

/// Ends the process without running exit handlers: libhdf5's would repeat failed writes, and crash.
private func end(_ code: Int32) -> Never { _exit(code) }
