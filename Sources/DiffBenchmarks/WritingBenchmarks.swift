import Checkpoints
import DiffCommands
import TensorCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `diffkit` writes on files as large as models are, beside `cp`, `cmp`, other tools of
/// deltas, and h5py. DIFFKIT_BENCHMARK_GB sets the size of a file.
struct WritingBenchmarks {
  private let folder: String
  private let report: Report
  private let timing = SideBySide(runs: 3)

  private static func run(
    _ title: String, _ body: (WritingBenchmarks) throws -> Void
  ) throws {
    try SideBySide.withFolder { folder in
      try body(
        WritingBenchmarks(
          folder: folder, report: Report("\(title), files of \(LargeFiles.title)")))
    }
  }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func diffkit(_ arguments: String...) throws -> ChildProcess {
    try SideBySide.diffkit(arguments + ["-q"])
  }

  // MARK: apply

  static func applyFloats() throws { try apply(.f32, .hdf5) }
  static func applyBrains() throws { try apply(.bf16, .safetensors) }

  private static func apply(_ type: ElementType, _ format: CheckpointFormat) throws {
    try run("apply -o, \(type) in \(format.rawValue), 0.5 % at random") { benchmarks in
      try benchmarks.apply(type, format)
    }
  }

  private func apply(_ type: ElementType, _ format: CheckpointFormat) throws {
    let files = LargeFiles(type: type, format: format, folder: folder)
    try files.makeBase()
    try files.makeTuned("tuned", density: 0.005, hotRows: false)
    let (diff, output) = (path("task.diff"), files.path("output"))
    _ = try diffkit("create", files.base, files.path("tuned"), "-o", diff)
    unsafe unlink(files.path("tuned"))
    for isCold in [false, true] {
      guard !isCold || Self.dropCaches() else {
        report.row("cold", "", "not permitted: /proc/sys/vm/drop_caches")
        continue
      }
      let (apply, cp) = try timing.measure(
        { try diffkit("apply", files.base, diff, "-o", output) },
        { try SideBySide.child("cp", [files.base, output]) }, removing: output,
        prepare: { if isCold { _ = Self.dropCaches() } })
      report.row(
        "\(isCold ? "cold" : "warm"), verified, to the end of a sync", "\(apply)", "cp \(cp)",
        ratio: apply.seconds / cp.seconds, bar: "≤ 1.10")
      report.row("peak memory", apply.megabytes, bar: "≤ 64 MB")
    }
    if format == .hdf5 { try compareWithPython(files, diff, output) }
  }

  /// Empties the page cache, if that is permitted.
  private static func dropCaches() -> Bool {
    sync()
    let child = try? ChildProcess.run("sh", ["-c", "echo 3 > /proc/sys/vm/drop_caches"])
    return child?.ending == .exit(0)
  }

  /// The same changes by h5py and NumPy, which verify nothing: copies the file and changes each
  /// tensor in memory.
  private func compareWithPython(_ files: LargeFiles, _ diff: String, _ output: String) throws {
    guard let python = Peers.python else {
      report.row("h5py + NumPy", "", "skipped: DIFFKIT_PEERS_PYTHON is not set")
      return
    }
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
      "warm, without sync (diffkit verifies and flushes all the same)", "\(apply)",
      "h5py + NumPy, copy and change \(peer), \(peer.megabytes)",
      ratio: peer.seconds / apply.seconds, bar: "≥ 1.5")
  }

  // MARK: in place

  static func inPlace() throws {
    try run("apply --in-place, f32 in HDF5, 0.01 % in hot rows") { try $0.inPlace() }
  }

  private func inPlace() throws {
    let files = LargeFiles(type: .f32, format: .hdf5, folder: folder)
    try files.makeBase()
    try files.makeTuned("tuned", density: 0.0001, hotRows: true)
    let (diff, output) = (path("task.diff"), files.path("output"))
    _ = try diffkit("create", files.base, files.path("tuned"), "-o", diff)
    unsafe unlink(files.path("tuned"))
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
        ratio: patch.seconds / cp.seconds, bar: verify == "touched" ? "≤ 0.05" : "")
      report.row("peak memory", patch.megabytes)
    }
  }

  // MARK: create

  static func create() throws {
    try run("create, exact, f32 in HDF5, 0.5 % at random") { try $0.create() }
  }

  private func create() throws {
    let files = LargeFiles(type: .f32, format: .hdf5, folder: folder)
    try files.makeBase()
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
    for (name, arguments) in [
      ("xdelta3", ["-q", "-f", "-e", "-s", files.base, files.path("tuned"), path("patch")]),
      (
        "zstd",
        ["-q", "-f", "-3", "--long=31", "--patch-from", files.base, files.path("tuned"), "-o"]
          + [path("patch")]
      ),
    ] {
      let peer = try? ChildProcess.run(name, arguments)
      guard let peer, peer.ending == .exit(0) else {
        report.row(name, "", "not on this machine, or not for files of this size")
        continue
      }
      report.row(
        "beside \(name)", "\(create)",
        "\(peer.seconds.fixed(1)) s, \(try File(path("patch")).size / 1_000_000) MB",
        ratio: peer.seconds / create.seconds, bar: name == "zstd" ? "≥ 2" : "≥ 5")
    }
  }
}
