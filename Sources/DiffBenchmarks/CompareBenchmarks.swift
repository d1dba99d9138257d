import DiffCommands
import DiffFormat
import DiffOperations
import Kernels
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// The time to compare, measure and inspect diffs, as processes, on files in the page cache.
struct CompareBenchmarks {
  private static let report = Report("Comparing and measuring diffs")
  private static let count = 100
  private static let changes = 100_000

  static func run() throws {
    try SideBySide.withFolder { folder in
      try matrix(folder, density: 0.005, "at random positions of 20 M")
      try matrix(folder, density: 1, "at the same positions")
      try inspection(folder)
    }
  }

  /// Compares a hundred additive diffs of a hundred thousand changes each, in ten tensors.
  private static func matrix(_ folder: String, density: Double, _ what: String) throws {
    let tensors = 10
    let elements = UInt64(Double(changes / tensors) / density)
    var paths: [String] = []
    var raw: [UInt8] = []
    for number in 0..<count {
      let path = "\(folder)/\(number).diff"
      paths.append(path)
      let sink = try FileSink(path, overwriting: true)
      let writer = try DiffWriter(sink)
      for tensor in 0..<tensors {
        let seed = UInt64(density < 1 ? number * tensors + tensor : tensor)
        let positions =
          density < 1
          ? uniformPositions(elements, density: density, seed: seed) : Array(0..<elements)
        let values = gaussianHalves(positions.count, seed: UInt64(number * tensors + tensor + 7))
        try write(
          positions, values, of: "layer/\(tensor)", elements: elements, to: writer)
        raw += UInt32(positions.count).littleEndianBytes
        for position in positions { raw += UInt32(position).littleEndianBytes }
        raw += values
      }
      try writer.finish()
      try sink.commit()
    }
    let ours = try seconds(runs: 3) { try diffkit(["compare", "--json"] + paths) }.median
    let memory = try diffkit(["compare", "--json"] + paths).peakMemory
    let file = "\(folder)/raw"
    let sink = try FileSink(file, overwriting: true)
    try sink.write(raw.span)
    try sink.commit()
    let peers = Peers.run(scipy, [file, "\(count)", "\(tensors)", "\(elements)"], report)
    report.row(
      "matrix \(count) × \(count), 0.1 M changes each \(what), files to JSON",
      "\(ours.fixed(2)) s, peak \(memory / 1_000_000) MB",
      peers.map { "scipy.sparse, arrays in memory: \($0[0].fixed(2)) s" } ?? "",
      ratio: peers.map { ours / $0[0] }, bar: "≤ 10 s")
  }

  /// Times `stats` and `inspect` on 1.7 M changes of 334 M elements (BERT-large at 0.5 %).
  private static func inspection(_ folder: String) throws {
    let path = "\(folder)/large.diff"
    let sink = try FileSink(path)
    let writer = try DiffWriter(sink)
    let (tensors, elements): (Int, UInt64) = (390, 857_000)
    for tensor in 0..<tensors {
      let positions = uniformPositions(elements, density: 0.0051, seed: UInt64(tensor))
      let name: TensorName = "layer/\(1000 + tensor)"
      try write(
        positions, gaussianHalves(positions.count, seed: UInt64(tensor)), of: name,
        elements: elements, to: writer)
    }
    try writer.finish()
    try sink.commit()
    let changes = try DiffReader(path).reduce(0) { $0 + $1.count }
    for arguments in [["inspect"], ["stats"], ["stats", "--json"]] {
      let times = try seconds(runs: 7) { try diffkit(arguments + [path]) }
      report.row(
        "\(arguments.joined(separator: " ")), \((Double(changes) / 1e6).fixed(2)) M changes",
        "\((times.median * 1000).fixed(1)) ms", bar: "≤ 100 ms")
    }
  }

  private static func write(
    _ positions: [UInt64], _ values: [UInt8], of name: TensorName, elements: UInt64,
    to writer: DiffWriter
  ) throws {
    try writer.begin(
      DiffEntry(name, .add(values: .f16, scale: -10), .f32, Shape(vector: elements)))
    let offsets = positions.map { UInt32($0) }
    try writer.append(ChangeRun(at: 0, offsets, values))
    try writer.end()
  }

  @discardableResult
  private static func diffkit(_ arguments: [String]) throws -> ChildProcess {
    try SideBySide.diffkit(arguments, upTo: 1)
  }

  /// Computes overlaps, products and agreeing signs of all pairs as products of sparse matrices.
  private static let scipy = """
    import sys, time, numpy as np, scipy.sparse as sp
    raw = np.fromfile(sys.argv[1], np.uint8); n, tensors, size = map(int, sys.argv[2:5])
    at, rows = 0, []
    for i in range(n):
        for t in range(tensors):
            k = int(raw[at:at + 4].view(np.uint32)[0]); at += 4
            positions = raw[at:at + 4 * k].view(np.uint32).astype(np.int64) + t * size; at += 4 * k
            values = raw[at:at + 2 * k].view(np.float16).astype(np.float64); at += 2 * k
            rows.append((positions, values, np.full(k, i)))
    columns, values, row = (np.concatenate(x) for x in zip(*rows))
    start = time.perf_counter()
    x = sp.csr_matrix((values, (row, columns)), shape=(n, tensors * size))
    ones = x.copy(); ones.data[:] = 1
    signs = x.copy(); signs.data = np.sign(signs.data)
    for m in (x, ones, signs): (m @ m.T).toarray()
    print(time.perf_counter() - start)
    """
}

/// Returns little-endian float16 values of a normal distribution.
func gaussianHalves(_ count: Int, seed: UInt64) -> [UInt8] {
  var random = SplitMix64(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(2 * count)
  for _ in 0..<count {
    let radius = (-2 * log(1 - random.unit())).squareRoot()
    bytes += Float16(radius * cos(2 * .pi * random.unit())).bitPattern.littleEndianBytes
  }
  return bytes
}
