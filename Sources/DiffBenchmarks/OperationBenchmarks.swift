import Checkpoints
import DiffCommands
import DiffFormat
import DiffOperations
import Kernels
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// `diffkit` as a process on files of a gigabyte, compared with common tools. Files are warm (in
/// the page cache); writes are timed to the end of a `sync`.
struct OperationBenchmarks {
  private let folder: String
  private let report = Report("Operations on contiguous HDF5 of 1 GiB, 0.5 % changed at random")
  private let timing = SideBySide(runs: 7)

  static func run() throws {
    try SideBySide.withFolder { folder in
      let benchmarks = OperationBenchmarks(folder: folder)
      for type in [ElementType.f32, .f16] { try benchmarks.run(type) }
    }
  }

  private init(folder: String) { self.folder = folder }

  private func path(_ name: String) -> String { folder + "/" + name }

  private func run(_ type: ElementType) throws {
    let inputs = try BenchmarkInputs(folder, type, elements: (1 << 30) / UInt64(type.width))
    let (base, tuned, copy) = (inputs.base, inputs.tuned, path("copy.h5"))
    try SideBySide.child("cp", [base, copy])
    let (diff, output) = (path("task.diff"), path("output.h5"))

    let (create, cmp) = try timing.measure(
      { try SideBySide.diffkit(["create", base, tuned, "-o", diff, "-q"]) },
      { try SideBySide.child("cmp", [base, copy]) }, removing: diff)
    _ = try SideBySide.diffkit(["create", base, tuned, "-o", diff, "-q"])
    report.row(
      "\(type): create", "\(create)", "cmp of equal files \(cmp)",
      ratio: create.seconds / cmp.seconds, bar: "≤ 2")
    report.row(
      "\(type): create, peak memory", create.megabytes, "", bar: "≤ 200 MB")

    let (apply, cp) = try timing.measure(
      { try SideBySide.diffkit(["apply", base, diff, "-o", output, "-q"]) },
      { try SideBySide.child("cp", [base, output]) }, removing: output)
    report.row(
      "\(type): apply, verified", "\(apply)", "cp \(cp)",
      ratio: apply.seconds / cp.seconds, bar: "≤ 1.3")
    report.row("\(type): apply, peak memory", apply.megabytes, "", bar: "≤ 100 MB")

    try sizes(type, inputs, diff)
    for file in [base, tuned, copy, output, diff] { unsafe unlink(file) }
  }

  private func sizes(_ type: ElementType, _ inputs: BenchmarkInputs, _ diff: String) throws {
    let size = Double(try File(diff).size)
    let changes = Double(inputs.changes)
    // A 32-bit index and a float16 per change, as two uncompressed arrays of NumPy.
    report.row(
      "\(type): exact diff", "\((size / changes).fixed(2)) bytes a change",
      "npz int32 + f16 (which is not exact for f32): 6.00", ratio: size / (6 * changes))
    let patch = path("patch.zst")
    let zstd = try? ChildProcess.run(
      "zstd",
      ["-q", "-f", "-3", "--long=31", "--patch-from", inputs.base, inputs.tuned, "-o", patch])
    guard let zstd, zstd.ending == .exit(0) else {
      report.row("\(type): zstd --patch-from", "", "not on this machine, or failed")
      return
    }
    let patchSize = Double(try File(patch).size)
    report.row(
      "\(type): exact diff", "\(UInt64(size)) bytes",
      "zstd -3 --patch-from \(UInt64(patchSize)) bytes, \(zstd.seconds.fixed(1)) s",
      ratio: size / patchSize)
    unsafe unlink(patch)
  }
}

/// A random base and a tuned checkpoint, made from a seed.
struct BenchmarkInputs {
  let base, tuned: String
  let changes: Int

  private static let tensors = 8
  private static let columns: UInt64 = 4096

  init(_ folder: String, _ type: ElementType, elements: UInt64) throws {
    base = folder + "/base.h5"
    tuned = folder + "/tuned.h5"
    let perTensor = elements / UInt64(Self.tensors)
    guard let shape = Shape([perTensor / Self.columns, Self.columns]) else { preconditionFailure() }
    let sample = try CheckpointFile.open(Self.sample)
    let output = try sample.makeOutput(at: base, rewriting: [], overwriting: true)
    var random = SplitMix64(seed: 11)
    for number in 0..<Self.tensors {
      let tensor = try output.insert("layer/\(number)/kernel", type, shape)
      try Self.fill(tensor, output, &random)
    }
    try output.commit()

    let source = try CheckpointFile.open(base)
    let copy = try source.makeOutput(at: tuned, rewriting: [], overwriting: true)
    var changes = 0
    for (number, tensor) in source.tensors.filter({ $0.name.parts[0] == "layer" }).enumerated() {
      let positions = uniformPositions(perTensor, density: 0.005, seed: 12 + UInt64(number))
      changes += positions.count
      try Self.change(tensor, at: positions, from: source, to: copy)
    }
    try copy.commit()
    self.changes = changes
  }

  /// A small file of the repository, from which the large ones are made.
  private static var sample: String {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/") + "/samples/textgenrnn_weights.hdf5"
  }

  /// Writes random weights between −0.02 and 0.02.
  private static func fill(
    _ tensor: StoredTensor, _ output: any CheckpointOutput, _ random: inout SplitMix64
  ) throws {
    let block = 1 << 20
    var bytes: [UInt8] = []
    for start in stride(from: UInt64(0), to: tensor.byteCount, by: block) {
      bytes.removeAll(keepingCapacity: true)
      while bytes.count < block {
        let value = Float(Int32(truncatingIfNeeded: random.next() >> 32)) * 0.02 / 0x1p31
        let bits =
          tensor.type == .f32 ? value.bitPattern : UInt32(Float16(value).bitPattern)
        for byte in 0..<tensor.type.width {
          bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt32(byte))))
        }
      }
      try output.write(bytes.span, to: tensor, at: start)
    }
  }

  /// Changes the low bits of elements, as a small training step does.
  private static func change(
    _ tensor: StoredTensor, at positions: [UInt64], from source: any Checkpoint,
    to output: any CheckpointOutput
  ) throws {
    let block: UInt64 = 1 << 20
    let width = UInt64(tensor.type.width)
    var next = 0
    var bytes = [UInt8](repeating: 0, count: Int(block))
    for start in stride(from: UInt64(0), to: tensor.byteCount, by: Int(block)) {
      var span = bytes.mutableSpan
      try source.read(tensor, at: start, into: &span)
      while next < positions.count && positions[next] * width < start + block {
        bytes[Int(positions[next] * width - start)] ^= UInt8(1 + positions[next] % 63)
        next += 1
      }
      try output.write(bytes.span, to: tensor, at: start)
    }
  }
}
