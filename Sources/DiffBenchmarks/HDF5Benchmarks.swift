import Checkpoints
import DiffOperations
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit apply` on HDF5 of gzip chunks, beside h5py with NumPy. Both are timed as processes, on
/// warm files, to the end of a `sync`, and both outputs must hold the same tensors.
struct HDF5Benchmarks {
  private let folder: String
  private let python: String
  private let runs = 3
  private static let size = 1 << 28

  private static let peer =
    "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/hdf5_peer.py"

  static func run() throws {
    let report = Report(
      "HDF5 of \(size >> 20) MiB in gzip chunks of h5py's choice, level 4, shuffled")
    let candidates = [ProgramFiles.environmentVariable("DIFFKIT_PEERS_PYTHON"), "python3"]
    guard
      let python = candidates.compactMap({ $0 }).first(where: {
        (try? ChildProcess.run($0, ["-c", "import h5py, numpy"]))?.ending == .exit(0)
      })
    else {
      report.row("skipped", "no python3 with h5py here; DIFFKIT_PEERS_PYTHON may name one")
      return
    }
    var template = Array("diffkit-benchmark-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else {
      throw DiffError.system("cannot create", "a folder")
    }
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { _ = try? ChildProcess.run("rm", ["-r", folder]) }
    let benchmarks = HDF5Benchmarks(folder: folder, python: python)
    _ = try benchmarks.child(python, [peer, "make", folder, "\(size)"])
    try benchmarks.compare(
      "0.5 % at random, every chunk changes", "random", ["--verify", "full"], "apply", "≥ 1.7",
      report)
    try benchmarks.compare(
      "0.01 % in few rows, tensor by tensor", "rows", ["--verify", "full"], "apply", "≥ 5", report)
    try benchmarks.compare(
      "0.01 % in few rows, rows alone", "rows", ["--verify", "touched"], "rows", "", report)
  }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func compare(
    _ what: String, _ which: String, _ options: [String], _ command: String, _ bar: String,
    _ report: Report
  ) throws {
    let (base, diff) = (path("base.h5"), path("\(which).diff"))
    let (ours, theirs) = (path("out.h5"), path("out-peer.h5"))
    _ = try diffkit(["create", base, path("\(which).h5"), "-o", diff, "-q", "--force"])
    var times: [[Double]] = [[], []]
    var memory: UInt64 = 0
    // One run of each that does not count.
    for run in 0...runs {
      unsafe unlink(ours)
      unsafe unlink(theirs)
      sync()
      let here = try seconds(runs: 1) {
        memory = max(
          memory, try diffkit(["apply", base, diff, "-o", ours, "-q"] + options).peakMemory)
        sync()
      }
      let there = try seconds(runs: 1) {
        _ = try child(python, [Self.peer, command, folder, which])
        sync()
      }
      if run > 0 {
        times[0] += here
        times[1] += there
      }
    }
    guard try holdsSame(ours, theirs) else {
      throw DiffError(.mismatch, "is not what the peer made", path: ours)
    }
    let (mine, peer) = (times[0].median, times[1].median)
    report.row(
      "\(what) (\(options.joined(separator: " ")))",
      "\(mine.fixed(2)) s, \((Double(memory) / 1e6).fixed(0)) MB", "h5py \(peer.fixed(2)) s",
      ratio: peer / mine, bar: bar)
  }

  private func holdsSame(_ one: String, _ other: String) throws -> Bool {
    let (a, b) = (try CheckpointFile.open(one), try CheckpointFile.open(other))
    guard a.tensors.map(\.name) == b.tensors.map(\.name) else { return false }
    return try zip(a.tensors, b.tensors).allSatisfy {
      try a.fingerprint(of: $0) == b.fingerprint(of: $1)
    }
  }

  /// This executable, taking the part of `diffkit`.
  private func diffkit(_ arguments: [String]) throws -> ChildProcess {
    try child(ProgramArguments.words[0], ["diffkit"] + arguments)
  }

  private func child(_ program: String, _ arguments: [String]) throws -> ChildProcess {
    let result = try ChildProcess.run(program, arguments)
    guard result.ending == .exit(0) else {
      let message = String(decoding: result.errors, as: UTF8.self)
      throw DiffError(.io, "\(program) \(arguments.joined(separator: " ")): \(message)")
    }
    return result
  }
}
