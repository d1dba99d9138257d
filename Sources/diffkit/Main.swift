import DiffCommands

@main struct Main {
  static func main() { runCommandLine() }
}
