import Checkpoints
import DiffCommands
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// Commands of `diffkit` that write, on files of the size of models, compared with `cp`, `cmp`,
/// other delta tools and h5py. DIFFKIT_BENCHMARK_GB sets the size of a file.
struct WritingBenchmarks {
  private let folder: String
  private let report: Report
  private let timing = SideBySide(runs: 2)

  private static func run(
    _ title: String, _ type: ElementType, in format: CheckpointFormat, gigabytes: Double? = nil,
    _ body: (WritingBenchmarks, LargeFiles) throws -> Void
  ) throws {
    try SideBySide.withFolder { folder in
      let files = LargeFiles(
        type: type, format: format, folder: folder, gigabytes: gigabytes ?? LargeFiles.usual)
      let title = "\(title), \(type) in \(format.rawValue), files of \(files.gigabytes) GB"
      let benchmarks = WritingBenchmarks(folder: folder, report: Report(title))
      try files.makeBase()
      try body(benchmarks, files)
    }
  }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func diffkit(_ arguments: String...) throws -> ChildProcess {
    try SideBySide.diffkit(arguments + ["-q"])
  }

  // MARK: apply

  static func applyFloats() throws { try apply(.f32, .hdf5, isCold: false) }
  static func applyFloatsCold() throws { try apply(.f32, .hdf5, isCold: true) }
  static func applyBrains() throws { try apply(.bf16, .safetensors, isCold: false) }
  static func applyBrainsCold() throws { try apply(.bf16, .safetensors, isCold: true) }

  private static func apply(
    _ type: ElementType, _ format: CheckpointFormat, isCold: Bool
  ) throws {
    let cache = isCold ? "cold" : "warm"
    try run("apply -o, 0.5 % at random, verified, \(cache)", type, in: format) {
      benchmarks, files in
      try benchmarks.apply(files, isCold: isCold)
    }
  }

  private func apply(_ files: LargeFiles, isCold: Bool) throws {
    guard !isCold || Self.dropCaches() else {
      return report.row("cold", "", "not permitted: /proc/sys/vm/drop_caches")
    }
    let diff = try makeDiff(files, density: 0.005, hotRows: false)
    let output = files.path("output")
    let (apply, cp) = try timing.measure(
      { try diffkit("apply", files.base, diff, "-o", output) },
      { try SideBySide.child("cp", [files.base, output]) }, removing: output,
      prepare: { if isCold { _ = Self.dropCaches() } })
    report.row(
      "to the end of a sync", "\(apply)", "cp \(cp)", ratio: apply.seconds / cp.seconds,
      bar: "≤ 1.10")
    report.row("peak memory", apply.megabytes, bar: "≤ 64 MB")
  }

  /// Makes a diff of the base from a finetune, which is then removed.
  private func makeDiff(_ files: LargeFiles, density: Double, hotRows: Bool) throws -> String {
    try files.makeTuned("tuned", density: density, hotRows: hotRows)
    _ = try diffkit("create", files.base, files.path("tuned"), "-o", path("task.diff"))
    unsafe unlink(files.path("tuned"))
    return path("task.diff")
  }

  /// Empties the page cache, if that is permitted.
  private static func dropCaches() -> Bool {
    sync()
    let child = try? ChildProcess.run("sh", ["-c", "echo 3 > /proc/sys/vm/drop_caches"])
    return child?.ending == .exit(0)
  }

  /// Compares with h5py and NumPy, which verify nothing: the script copies the file and changes
  /// each tensor in memory.
  static func applyPython() throws {
    guard let python = Peers.python else {
      return print("\nh5py + NumPy: skipped, DIFFKIT_PEERS_PYTHON is not set")
    }
    try run("apply -o, 0.5 % at random, warm, without sync", .f32, in: .hdf5) { benchmarks, files in
      try benchmarks.compare(files, python)
    }
  }

  private func compare(_ files: LargeFiles, _ python: String) throws {
    let diff = try makeDiff(files, density: 0.005, hotRows: false)
    let output = files.path("output")
    let script = """
      import shutil, sys, h5py, numpy as np
      base, out = sys.argv[1:]
      shutil.copyfile(base, out)
      rng = np.random.default_rng(1)
      with h5py.File(out, "r+") as f:
          for name in [f"layer/{i}/weight" for i in range(8)]:
              t = f[name]
              a = t[...].reshape(-1)
              n = a.size // 200
              at = np.sort(rng.integers(0, a.size, n, dtype=np.int64))
              a.view(np.uint32)[at] ^= 1
              t[...] = a.reshape(t.shape)
      """
    let (apply, peer) = try timing.measure(
      { try diffkit("apply", files.base, diff, "-o", output) },
      { try SideBySide.child(python, ["-c", script, files.base, output]) }, removing: output,
      toSync: false)
    report.row(
      "verified and flushed", "\(apply), \(apply.megabytes)",
      "h5py + NumPy, copy and change \(peer), \(peer.megabytes)",
      ratio: peer.seconds / apply.seconds, bar: "≥ 1.5")
  }

  // MARK: in place

  static func inPlace() throws {
    try run("apply --in-place, 0.01 % in hot rows, warm", .f32, in: .hdf5) { benchmarks, files in
      let diff = try benchmarks.makeDiff(files, density: 0.0001, hotRows: true)
      try benchmarks.inPlace(files, diff, bar: "≤ 0.05")
    }
    try run("apply --in-place, 1 % at random, warm", .bf16, in: .safetensors) { benchmarks, files in
      let diff = try benchmarks.makeDiff(files, density: 0.01, hotRows: false)
      try benchmarks.inPlace(files, diff, bar: "≤ 1.3")
    }
  }

  /// Applies a diff and reverts it, in turns.
  private func inPlace(_ files: LargeFiles, _ diff: String, bar: String) throws {
    let output = files.path("output")
    for verify in ["touched", "full"] {
      var isApplied = false
      let (patch, cp) = try timing.measure(
        {
          isApplied.toggle()
          return try diffkit(
            isApplied ? "apply" : "revert", files.base, diff, "--in-place", "--verify", verify)
        }, { try SideBySide.child("cp", [files.base, output]) }, removing: output)
      report.row(
        "--verify \(verify), journal and sync included", "\(patch)", "cp \(cp)",
        ratio: patch.seconds / cp.seconds, bar: verify == "touched" ? bar : "")
      report.row("peak memory", patch.megabytes)
    }
  }

  // MARK: create

  static func create() throws {
    try run("create, exact, 0.5 % at random, warm", .f32, in: .hdf5) { benchmarks, files in
      try benchmarks.create(files)
    }
  }

  private func create(_ files: LargeFiles) throws {
    try files.makeTuned("tuned", density: 0.005, hotRows: false)
    let (diff, copy) = (path("task.diff"), files.path("copy"))
    try SideBySide.child("cp", [files.base, copy])
    let (create, cmp) = try timing.measure(
      { try diffkit("create", files.base, files.path("tuned"), "-o", diff) },
      { try SideBySide.child("cmp", [files.base, copy]) }, removing: diff)
    _ = try diffkit("create", files.base, files.path("tuned"), "-o", diff)
    let size = try File(diff).size
    report.row(
      "warm", "\(create)", "cmp of equal files \(cmp)", ratio: create.seconds / cmp.seconds,
      bar: "≤ 1.2")
    report.row(
      "peak memory", create.megabytes, "the diff: \(size / 1_000_000) MB",
      bar: "≤ 128 MB + the diff")
  }

  /// Uses smaller files: xdelta3 takes minutes for large ones, and zstd does not accept them.
  static func createPeers() throws {
    try run("create, exact, 0.5 % at random, warm", .f32, in: .hdf5, gigabytes: 0.5) {
      try $0.createPeers($1)
    }
  }

  private func createPeers(_ files: LargeFiles) throws {
    let (tuned, patch, diff) = (files.path("tuned"), path("patch"), path("task.diff"))
    try files.makeTuned("tuned", density: 0.005, hotRows: false)
    for (name, arguments, bar) in [
      ("xdelta3", ["-q", "-f", "-e", "-s", files.base, tuned, patch], "≥ 5"),
      (
        "zstd", ["-q", "-f", "-3", "--long=31", "--patch-from", files.base, tuned, "-o", patch],
        "≥ 2"
      ),
    ] {
      guard let first = try? ChildProcess.run(name, arguments), first.ending == .exit(0) else {
        report.row(name, "", "not on this machine, or failed")
        continue
      }
      let size = try File(patch).size
      let (create, peer) = try timing.measure(
        { try diffkit("create", files.base, tuned, "-o", diff, "--force") },
        { try SideBySide.child(name, arguments) }, removing: patch)
      report.row(
        "beside \(name)", "\(create), \(try File(diff).size / 1_000_000) MB",
        "\(peer), \(size / 1_000_000) MB", ratio: peer.seconds / create.seconds, bar: bar)
    }
  }
}
