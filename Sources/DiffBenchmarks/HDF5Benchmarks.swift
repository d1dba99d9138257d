import Checkpoints
import DiffCommands
import DiffOperations
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit apply` on HDF5 with gzip chunks, compared with h5py and NumPy. Both are timed as
/// processes, on warm files, to the end of a `sync`, and both outputs must have the same tensors.
struct HDF5Benchmarks {
  private let folder: String
  private let python: String
  private let report: Report
  private static let size = 1 << 28

  private static let peer =
    "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/hdf5_peer.py"

  static func run() throws {
    let report = Report(
      "HDF5 of \(size >> 20) MiB in gzip chunks of h5py's choice, level 4, shuffled")
    let candidates = [Peers.python, "python3"]
    guard
      let python = candidates.compactMap({ $0 }).first(where: {
        (try? ChildProcess.run($0, ["-c", "import h5py, numpy"]))?.ending == .exit(0)
      })
    else {
      report.row("skipped", "no python3 with h5py here; DIFFKIT_PEERS_PYTHON may name one")
      return
    }
    try SideBySide.withFolder { folder in
      let benchmarks = HDF5Benchmarks(folder: folder, python: python, report: report)
      try SideBySide.child(python, [peer, "make", folder, "\(size)"])
      try benchmarks.compare(
        "0.5 % at random, every chunk changes", tuned: "random", verify: "full", bar: "≥ 1.7")
      try benchmarks.compare(
        "0.01 % in few rows, tensor by tensor", tuned: "rows", verify: "full", bar: "≥ 5")
      try benchmarks.compare(
        "0.01 % in few rows, rows alone", tuned: "rows", verify: "touched", peer: "rows", bar: "")
      try benchmarks.compareOneChunk()
      try benchmarks.compareManyTensors()
    }
  }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func compare(
    _ title: String, tuned: String, verify: String, peer command: String = "apply", bar: String
  ) throws {
    let (base, diff) = (path("base.h5"), path("\(tuned).diff"))
    let (ours, theirs) = (path("out.h5"), path("out-peer.h5"))
    try SideBySide.diffkit(["create", base, path("\(tuned).h5"), "-o", diff, "-q", "--force"])
    let apply = ["apply", base, diff, "-o", ours, "-q", "--verify", verify]
    let peer = [Self.peer, command, folder, tuned]
    let (mine, other) = try SideBySide(runs: 3).measure(
      { try SideBySide.diffkit(apply) }, { try SideBySide.child(python, peer) }, removing: ours,
      prepare: { unsafe unlink(theirs) })
    try SideBySide.diffkit(apply)
    guard try holdsSame(ours, theirs) else {
      throw DiffError(.mismatch, "is not what the peer made", path: ours)
    }
    report.row(
      "\(title) (--verify \(verify))", "\(mine.seconds.fixed(2)) s, \(mine.megabytes)",
      "h5py \(other.seconds.fixed(2)) s", ratio: other.seconds / mine.seconds, bar: bar)
  }

  /// Adds rows for a tensor in a single chunk, larger than libhdf5's cache: read against read,
  /// rewritten against rewritten.
  private func compareOneChunk() throws {
    let size = "\(Self.size)"
    try SideBySide.child(python, [Self.peer, "make-one", folder, size])
    let (base, diff, title) = (
      path("one.h5"), path("one.diff"), "one gzip chunk of \(Self.size >> 20) MiB"
    )
    try SideBySide.diffkit(["create", base, path("one-tuned.h5"), "-o", diff, "-q"])
    try compare(
      title + ", read: `inspect --hash`", ["inspect", "--hash", base], ["read-one", folder, size])
    try compare(
      title + ", rewritten: `apply`", ["apply", base, diff, "-o", path("out.h5"), "-q"],
      ["apply-one", folder, size])
  }

  private func compareManyTensors() throws {
    try SideBySide.child(python, [Self.peer, "make-many", folder, "50000"])
    try compare(
      "50 000 tensors from safetensors to HDF5",
      ["convert", path("many.safetensors"), path("out.h5"), "-q"], ["write-many", folder, "50000"])
  }

  /// Adds a row for a command of diffkit beside one of the peer.
  private func compare(_ title: String, _ ours: [String], _ theirs: [String]) throws {
    let (mine, other) = try SideBySide(runs: 3).measure(
      { try SideBySide.diffkit(ours) }, { try SideBySide.child(python, [Self.peer] + theirs) },
      removing: path("out.h5"), prepare: { unsafe unlink(path("out-peer.h5")) })
    report.row(
      title, "\(mine.seconds.fixed(2)) s, \(mine.megabytes)",
      "h5py \(other.seconds.fixed(2)) s, \(other.megabytes)", ratio: mine.seconds / other.seconds,
      bar: "≤ 2")
  }

  private func holdsSame(_ one: String, _ other: String) throws -> Bool {
    let (a, b) = (try CheckpointFile.open(one), try CheckpointFile.open(other))
    guard a.tensors.map(\.name) == b.tensors.map(\.name) else { return false }
    return try zip(a.tensors, b.tensors).allSatisfy {
      try a.fingerprint(of: $0) == b.fingerprint(of: $1)
    }
  }
}
