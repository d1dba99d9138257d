import DiffCommands

@main struct Main {
  static func main() { DiffKit.run() }
}
