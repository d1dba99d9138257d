import DiffCommands

// Every speed and size claim of the README, with its peers, in one run. Arguments choose parts.
let arguments = Array(CommandLine.arguments.dropFirst())
if arguments.first == "diffkit" { runCommandLine(Array(arguments.dropFirst())) }
let parts: [(name: String, run: () throws -> Void)] = [
  ("sizes", FormatBenchmarks.sizes),
  ("speeds", FormatBenchmarks.speeds),
  ("operations", OperationBenchmarks.run),
]
for part in parts where arguments.isEmpty || arguments.contains(part.name) { try part.run() }
