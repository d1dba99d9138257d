import DiffCommands
import Platform
import SystemSupport
import TestSupport

// Measures every speed and size claim of the README, with its peers, in one run. Arguments choose
// parts.
//
// Each part runs in a separate process: the peak memory reported for a child includes that of its
// parent, from before the child's program begins.
let parts: [(name: String, run: () throws -> Void)] = [
  ("sizes", FormatBenchmarks.sizes),
  ("speeds", FormatBenchmarks.speeds),
  ("operations", OperationBenchmarks.run),
  ("compare", CompareBenchmarks.run),
  ("serving", ServingBenchmarks.run),
  ("apply-f32", WritingBenchmarks.applyFloats),
  ("apply-f32-cold", WritingBenchmarks.applyFloatsCold),
  ("apply-bf16", WritingBenchmarks.applyBrains),
  ("apply-bf16-cold", WritingBenchmarks.applyBrainsCold),
  ("apply-h5py", WritingBenchmarks.applyPython),
  ("in-place", WritingBenchmarks.inPlace),
  ("create", WritingBenchmarks.create),
  ("create-peers", WritingBenchmarks.createPeers),
  ("hdf5", HDF5Benchmarks.run),
  ("merge", MergeBenchmarks.run),
  ("merge-mergekit", MergekitBenchmarks.run),
  ("merge-tune", TuningBenchmarks.run),
  ("text", TextBenchmarks.run),
  ("rows", TableBenchmarks.run),
  ("store", StoreBenchmarks.run),
  ("store-log", StoreBenchmarks.logs),
  ("store-tasks", StoreBenchmarks.tasks),
  ("store-afar", StoreBenchmarks.afar),
  ("follower", StoreBenchmarks.follow),
  ("training", TrainingBenchmarks.run),
  ("gates", GateBenchmarks.run),
  ("bert-base", BertBenchmarks.base),
  ("bert-large", BertBenchmarks.large),
  ("scaling", ScalingBenchmarks.run),
]
let arguments = Array(ProgramArguments.words.dropFirst())
do {
  switch arguments.first {
  case "diffkit": runCommandLine(Array(arguments.dropFirst()))
  case "part":
    for part in parts where part.name == arguments.last { try part.run() }
  case "store-make": try StoreBenchmarks.make(Array(arguments.dropFirst()))
  case "training-run": try TrainingRun.run(Array(arguments.dropFirst()))
  case "gated-steps": try GateBenchmarks.steps(Array(arguments.dropFirst()))
  case "bert-make": try BertBenchmarks.make(Array(arguments.dropFirst()))
  case "ranked-run": try RankedRun.run(Array(arguments.dropFirst()))
  case "table": try MethodTable.run(Array(arguments.dropFirst()))
  case "read-rows": try TableBenchmarks.read(arguments.last ?? "")
  case "trial": try Trial.run(Array(arguments.dropFirst()))
  default:
    let program = ProgramArguments.words[0]
    for part in parts where arguments.isEmpty || arguments.contains(part.name) {
      // Speeds are those of one core, although the codings can use more.
      let (command, prefix) =
        ["speeds", "text"].contains(part.name) ? ("taskset", ["-c", "0", program]) : (program, [])
      let process = try ChildProcess.run(command, prefix + ["part", part.name])
      print(String(decoding: process.output + process.errors, as: UTF8.self), terminator: "")
    }
  }
} catch {
  print("DiffBenchmarks: \(error)")
  exit(2)
}
