import DiffCommands
import DiffFormat
import DiffOperations
import Kernels
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit merge` as a process, from files to a file, on diffs of a model as large as BERT-large.
struct MergeBenchmarks {
  private let folder: String
  private let report = Report("Merging, from files to a file")

  static func run() throws {
    try SideBySide.withFolder { folder in
      let benchmarks = MergeBenchmarks(folder: folder)
      try benchmarks.eight()
      try benchmarks.thousand()
    }
  }

  /// The tensors of BERT-large: 334 M elements.
  private static let model: [(name: TensorName, shape: [UInt64])] = {
    var tensors: [(TensorName, [UInt64])] = [
      ("embeddings.word_embeddings.weight", [30_522, 1024]),
      ("embeddings.position_embeddings.weight", [512, 1024]),
      ("embeddings.token_type_embeddings.weight", [2, 1024]),
      ("embeddings.LayerNorm.weight", [1024]), ("embeddings.LayerNorm.bias", [1024]),
      ("pooler.dense.weight", [1024, 1024]), ("pooler.dense.bias", [1024]),
    ]
    for layer in 0..<24 {
      let prefix = "encoder.layer.\(layer)"
      for name in ["attention.self.query", "attention.self.key", "attention.self.value"] {
        tensors.append(("\(prefix).\(name).weight", [1024, 1024]))
        tensors.append(("\(prefix).\(name).bias", [1024]))
      }
      for (name, rows, columns) in [
        ("attention.output.dense", 1024, 1024), ("intermediate.dense", 4096, 1024),
        ("output.dense", 1024, 4096),
      ] as [(String, UInt64, UInt64)] {
        tensors.append(("\(prefix).\(name).weight", [rows, columns]))
        tensors.append(("\(prefix).\(name).bias", [rows]))
      }
      for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
        tensors.append(("\(prefix).\(name).weight", [1024]))
        tensors.append(("\(prefix).\(name).bias", [1024]))
      }
    }
    return tensors.sorted { $0.0 < $1.0 }
  }()

  /// Writes a diff with this share of the elements changed, with the largest values of a Gaussian,
  /// scaled as `create` scales them; returns the number of changes.
  private func write(_ path: String, density: Double, seed: UInt64) throws -> Int {
    var random = SplitMix64(seed: seed)
    let sink = try FileSink(path)
    let writer = try DiffWriter(sink)
    var changes = 0
    for (number, tensor) in Self.model.enumerated() {
      guard let shape = Shape(tensor.shape) else { continue }
      let positions = uniformPositions(
        shape.count, density: density, seed: seed << 16 | UInt64(number))
      guard !positions.isEmpty else { continue }
      changes += positions.count
      let entry = DiffEntry(
        tensor.name, .add(values: .f16, scale: -22), .f32, shape,
        base: Fingerprint(high: 0, low: UInt64(number)))
      try writer.begin(entry)
      var values: [UInt8] = []
      for _ in positions {
        let tail = 2.807 + random.unit() * 0.8
        let value = Float16((random.next() & 1 == 0 ? tail : -tail) * 4096)
        values.append(UInt8(truncatingIfNeeded: value.bitPattern))
        values.append(UInt8(value.bitPattern >> 8))
      }
      for start in stride(from: 0, to: positions.count, by: 1 << 16) {
        let end = min(positions.count, start + 1 << 16)
        let offsets = positions[start..<end].map { UInt32($0 - positions[start]) }
        try writer.append(
          ChangeView(
            at: positions[start], offsets.span, values.span.extracting(start * 2..<end * 2)))
      }
      try writer.end()
    }
    try writer.finish()
    try sink.commit()
    return changes
  }

  // MARK: Eight diffs

  private func eight() throws {
    let paths = (0..<8).map { "\(folder)/\($0).diff" }
    var changes = 0
    for (number, path) in paths.enumerated() {
      changes += try write(path, density: 0.0051, seed: UInt64(number + 1))
    }
    let millions = (Double(changes) / 1e6).fixed(1)
    let elements = Self.model.reduce(0) { $0 + $1.shape.reduce(1, *) }
    let what = "8 diffs, \(millions) M changes of \(elements / 1_000_000) M elements"
    let one = try median { try merge(paths, ["--method", "sum"], cores: "0") }
    report.row(
      "sum, one core: \(what)", text(one, changes), "", ratio: Double(changes) / one.seconds / 30e6,
      bar: "≥ 1 (of 30 M/s)")
    let all = try median { try merge(paths, ["--method", "sum"]) }
    report.row("sum, all cores", text(all, changes))
    report.row("sum, peak memory", megabytes(all.peakMemory), "", bar: "≤ 64 MB + one tensor")
    for method in [
      ["ties", "--density", "0.002", "--density-of", "elements"],
      ["dare-ties", "--density", "0.5", "--density-of", "nonzeros"], ["ram"],
    ] {
      let other = try median(runs: 3) { try merge(paths, ["--method"] + method) }
      report.row(method.joined(separator: " "), text(other, changes), megabytes(other.peakMemory))
    }
    try peers(paths.count, all.seconds)
  }

  /// Times the same sum, dense in NumPy and PyTorch and sparse in SciPy, from files to a file. The
  /// dense files are links to one file, so that they are read from memory, which is to their
  /// advantage: ten gigabytes of files would be read from a disk.
  private func peers(_ count: Int, _ seconds: Double) throws {
    guard let python = Peers.python else {
      report.row("NumPy, PyTorch, SciPy", "", "skipped: DIFFKIT_PEERS_PYTHON names no Python")
      return
    }
    let shapes = Self.model.map { $0.shape.map(String.init).joined(separator: "x") }
    let result = try ChildProcess.run(
      python, ["-c", Self.peerScript, folder, "\(count)", shapes.joined(separator: ",")])
    guard result.ending == .exit(0) else {
      report.row("NumPy, PyTorch, SciPy", "", String(decoding: result.errors, as: UTF8.self))
      return
    }
    let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
    for (line, bar) in zip(lines, ["≥ 30", "", "", "≥ 5"]) {
      let parts = line.split(separator: " ", maxSplits: 1)
      guard let time = Double(parts[0]) else { continue }
      report.row(
        "sum, all cores", "\(seconds.fixed(3)) s", "\(parts[1]) \(time.fixed(2)) s",
        ratio: time / seconds, bar: bar)
    }
  }

  /// Prints seconds and what was measured.
  private static let peerScript = """
    import sys, time, os
    import numpy as np, scipy.sparse as sp, torch
    from safetensors.torch import load_file, save_file
    folder, count = sys.argv[1], int(sys.argv[2])
    shapes = [tuple(map(int, s.split("x"))) for s in sys.argv[3].split(",")]
    rng = np.random.default_rng(1)
    n = sum(int(np.prod(s)) for s in shapes)
    dense = np.zeros(n, np.float32)
    at = np.flatnonzero(rng.random(n, np.float32) < 0.0051)
    dense[at] = rng.standard_normal(len(at), np.float32)
    np.save(folder + "/0.npy", dense)
    # Links to one file: the same reads, less page cache.
    for i in range(1, count): os.link(folder + "/0.npy", f"{folder}/{i}.npy")
    del dense
    def durable(path):
        file = os.open(path, os.O_RDONLY); os.fsync(file); os.close(file)
    def to_file():
        out = np.load(folder + "/0.npy")
        for i in range(1, count): out += np.load(f"{folder}/{i}.npy", mmap_mode="r")
        np.save(folder + "/out.npy", out); durable(folder + "/out.npy")
    def timed(body, what):
        times = []
        for _ in range(3):
            start = time.perf_counter(); body(); times.append(time.perf_counter() - start)
        print(sorted(times)[1], what)
    timed(to_file, "NumPy, dense float32, files to file:")
    out = np.zeros(n, np.float32); one = np.load(folder + "/0.npy")
    def in_memory():
        for _ in range(count): np.add(out, one, out=out)
    timed(in_memory, "NumPy, dense float32, the additions alone:")
    del out
    os.remove(folder + "/out.npy")
    start, tensors = 0, {}
    for number, shape in enumerate(shapes):
        size = int(np.prod(shape))
        tensors[str(number)] = torch.from_numpy(one[start:start + size].reshape(shape)); start += size
    save_file(tensors, folder + "/0.safetensors")
    del one, tensors
    for i in range(1, count + 1): os.link(folder + "/0.safetensors", f"{folder}/{i}.safetensors")
    def arithmetic():
        base = load_file(folder + "/0.safetensors")
        sums = {k: v.clone() for k, v in base.items()}
        for i in range(1, count + 1):
            tuned = load_file(f"{folder}/{i}.safetensors")
            for k, v in tuned.items(): sums[k] += v - base[k]
        save_file(sums, folder + "/out.safetensors"); durable(folder + "/out.safetensors")
    timed(arithmetic, "PyTorch, task arithmetic of so many float32 checkpoints and a base:")
    for name in [f"{i}.npy" for i in range(count)] + ["out.safetensors"]: os.remove(f"{folder}/{name}")
    for i in range(count):
        at, off = [], 0
        for number, shape in enumerate(shapes):
            size = int(np.prod(shape)); rows = shape[0] if len(shape) > 1 else 1
            here = np.flatnonzero(rng.random(size, np.float32) < 0.0051)
            m = sp.coo_array((rng.standard_normal(len(here), np.float32),
                (here // (size // rows), here % (size // rows))), (rows, size // rows)).tocsr()
            sp.save_npz(f"{folder}/{i}.{number}.npz", m, compressed=False)
    def sparse():
        for number in range(len(shapes)):
            out = sp.load_npz(f"{folder}/0.{number}.npz")
            for i in range(1, count): out = out + sp.load_npz(f"{folder}/{i}.{number}.npz")
            sp.save_npz(f"{folder}/out.{number}.npz", out, compressed=False)
    timed(sparse, "SciPy, CSR float32, files to file:")
    """

  // MARK: A thousand diffs

  private func thousand() throws {
    // 30 000 changes each: many small pages for each tensor.
    let paths = (0..<1000).map { "\(folder)/many.\($0).diff" }
    var changes: [Int] = []
    for (number, path) in paths.enumerated() {
      changes.append(try write(path, density: 0.0001, seed: UInt64(1000 + number)))
    }
    var rates: [Double] = []
    for count in [250, 500, 1000] {
      let total = changes.prefix(count).reduce(0, +)
      let result = try median(runs: 3) {
        try merge(Array(paths.prefix(count)), ["--method", "average"], openFiles: 1024)
      }
      rates.append(Double(total) / result.seconds)
      let limit = 64e6 + 64e3 * Double(count)
      report.row(
        "average of \(count) diffs, ulimit -n 1024", text(result, total),
        "\(megabytes(result.peakMemory)) of \((limit / 1e6).fixed(0)) MB",
        ratio: Double(result.peakMemory) / limit, bar: "≤ 1")
    }
    report.row(
      "1000 diffs beside 250, changes per second", "", "", ratio: rates[2] / rates[0],
      bar: "≥ 0.9 (linear)")
  }

  // MARK: Running

  private func merge(
    _ paths: [String], _ arguments: [String], cores: String? = nil, openFiles: Int? = nil
  ) throws -> ChildProcess {
    let output = folder + "/merged.diff"
    unsafe unlink(output)
    var command = [ProgramArguments.words[0], "diffkit", "merge", "-q", "-o", output]
    command += arguments + paths
    if let cores { command = ["taskset", "-c", cores] + command }
    if let openFiles {
      command = ["sh", "-c", "ulimit -n \(openFiles); exec \"$@\"", "sh"] + command
    }
    return try SideBySide.child(command[0], Array(command.dropFirst()))
  }

  /// Returns the run with the median time, after a warm-up run.
  private func median(runs: Int = 5, _ body: () throws -> ChildProcess) rethrows -> ChildProcess {
    _ = try body()
    let results = try (0..<runs).map { _ in try body() }
    return results.sorted { $0.seconds < $1.seconds }[runs / 2]
  }

  private func text(_ result: ChildProcess, _ changes: Int) -> String {
    "\(result.seconds.fixed(3)) s, \((Double(changes) / result.seconds / 1e6).fixed(1)) M/s"
  }

  private func megabytes(_ bytes: UInt64) -> String { "\((Double(bytes) / 1e6).fixed(0)) MB" }
}
