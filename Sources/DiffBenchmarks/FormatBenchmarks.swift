import DiffCommands
import DiffFormat
import DiffOperations
import Kernels
import TensorCore
import TestSupport

/// The sizes and speeds of the codings, in memory.
enum FormatBenchmarks {
  /// Writes one entry to memory.
  static func encode(
    _ entry: DiffEntry, _ positions: [UInt64], _ values: [UInt8],
    profile: EncodingProfile = .size
  ) throws -> [UInt8] {
    let sink = MemorySink()
    let writer = try DiffWriter(sink, profile: profile)
    try writer.begin(entry)
    let width = entry.valueWidth
    for at in stride(from: 0, to: positions.count, by: 1 << 16) {
      let end = min(positions.count, at + 1 << 16)
      let offsets = positions[at..<end].map { UInt32($0 - positions[at]) }
      try writer.append(
        ChangeView(
          at: positions[at], offsets.span, values.span.extracting(at * width..<end * width)))
    }
    try writer.end()
    try writer.finish()
    return sink.bytes
  }

  /// Returns the bytes of the positions, and the names of their codings.
  static func positionBytes(_ reader: DiffReader) throws -> (bytes: Int, codings: String) {
    var total = 0
    var codings: Set<String> = []
    var page = PageBuffer()
    for entry in reader {
      for info in entry.pages[.changes] ?? [] {
        try page.load(info, of: entry, from: reader.source)
        total += page.encoding.positionBytes
        codings.insert("\(page.encoding.positions) by \(page.encoding.traversal)")
      }
    }
    return (total, codings.sorted().joined(separator: ", "))
  }

  static func sizes() throws {
    let report = Report("Size of positions and values")
    let rows = 32_768
    let columns = 1024
    guard let shape = Shape([UInt64(rows), UInt64(columns)]) else { return }
    func measure(_ what: String, _ positions: [UInt64], bar: String) throws {
      let values = [UInt8](repeating: 1, count: positions.count)
      let bytes = try encode(DiffEntry("w", .replace, .u8, shape), positions, values)
      let (size, codings) = try positionBytes(try DiffReader(bytes: bytes))
      let bits = Double(size) * 8 / Double(positions.count)
      let count = UInt64(positions.count)
      let bound = log2Choose(shape.count, count) / Double(count)
      report.row(
        "\(what) (\(codings))", "\(bits.fixed(3)) bits", "bound \(bound.fixed(3)) bits",
        ratio: bits / bound, bar: bar)
    }
    for density in [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05] {
      let strict = [0.005, 0.01, 0.02].contains(density)
      try measure(
        "uniform, \((density * 100).fixed(2)) %",
        uniformPositions(shape.count, density: density, seed: 1),
        bar: strict ? "≤ 1.01" : "≤ 1.025")
    }
    try measure(
      "10 % of rows 10× denser, 1 %",
      clusteredPositions(rows: rows, columns: columns, density: 0.01, both: false, seed: 2),
      bar: "≤ 0.93")
    try measure(
      "rows and columns",
      clusteredPositions(rows: rows, columns: columns, density: 0.01, both: true, seed: 3),
      bar: "≤ 0.82")

    try steps(report)
    try additions(report)
  }

  /// Measures a step of reinforcement learning: 1 % of bf16 weights, each by one unit in the last
  /// place, up or down.
  private static func steps(_ report: Report) throws {
    let elements: UInt64 = 128_000_000
    guard let shape = Shape([elements / 4000, 4000]) else { return }
    var random = SplitMix64(seed: 4)
    let positions = uniformPositions(elements, density: 0.01, seed: 4)
    let count = UInt64(positions.count)
    var xor: [UInt8] = []
    for _ in positions {
      let old = UInt16(Float(random.gaussian() * 0.02).bitPattern >> 16)
      xor += (old ^ (random.next() & 1 == 0 ? old &+ 1 : old &- 1)).littleEndianBytes
    }
    let bytes = try encode(DiffEntry("w", .xor, .bf16, shape), positions, xor)
    let what = "256 MB bf16, 1 % by ±1 ulp"
    report.row(
      what, "\(bytes.count) bytes", "positions' bound \(Int(log2Choose(elements, count) / 8))",
      ratio: Double(bytes.count) / 1_650_000, bar: "≤ 1 (of 1.65 MB)")
    // The smallest encoding of other tools, made here from the same changes.
    if let peer = try zstdSize(byteGaps(positions) + byteSplit(xor)) {
      report.row(
        what, "\(bytes.count) bytes", "byte gaps, XORed bytes split, zstd -1: \(peer) bytes",
        ratio: Double(bytes.count) / Double(peer))
    } else {
      report.row(what, "", "byte gaps with zstd: no zstd on this machine")
    }
  }

  /// Measures a diff as training makes it: the largest 0.5 % of a Gaussian, in a model of MiniLM's
  /// size.
  private static func additions(_ report: Report) throws {
    let weights: UInt64 = 22_713_216
    guard let shape = Shape([weights / 384, 384]) else { return }
    var random = SplitMix64(seed: 5)
    let positions = uniformPositions(weights, density: 0.005, seed: 5)
    var values: [UInt8] = []
    while values.count < positions.count * 2 {
      let delta = random.gaussian()
      // Scaled as `create` scales it.
      if abs(delta) >= 2.807 { values += Float16(delta * 4096).bitPattern.littleEndianBytes }
    }
    let entry = DiffEntry("w", .add(values: .f16, scale: -22), .f32, shape)
    let size = Double(try encode(entry, positions, values).count) / Double(positions.count)
    report.row(
      "Gaussian top 0.5 % of 22.7 M, f16 additions", "\(size.fixed(3)) bytes a change",
      "npz 6, SHiRA 12 (by formula)", ratio: size / 2.6, bar: "≤ 1 (of 2.6)")
  }

  /// Returns gaps as bytes; 255 means that the gap continues in the next byte.
  private static func byteGaps(_ positions: [UInt64]) -> [UInt8] {
    var bytes: [UInt8] = []
    var next: UInt64 = 0
    for position in positions {
      var gap = position - next
      while gap >= 255 {
        bytes.append(255)
        gap -= 255
      }
      bytes.append(UInt8(gap))
      next = position + 1
    }
    return bytes
  }

  private static func byteSplit(_ values: [UInt8]) -> [UInt8] {
    let low = stride(from: 0, to: values.count, by: 2).map { values[$0] }
    return low + stride(from: 1, to: values.count, by: 2).map { values[$0] }
  }

  /// Returns the size of bytes after `zstd -1`; nil if there is no zstd.
  private static func zstdSize(_ bytes: [UInt8]) throws -> Int? {
    let path = "diffkit-benchmark-zstd.tmp"
    let sink = try FileSink(path, overwriting: true)
    try sink.write(bytes.span)
    try sink.commit()
    defer { _ = try? ChildProcess.run("rm", [path]) }
    let zstd = try? ChildProcess.run("zstd", ["-1", "-q", "-c", path])
    guard let zstd, zstd.ending == .exit(0) else { return nil }
    return zstd.output.count
  }

  static func speeds() throws {
    let report = Report("Speed of the codings, in memory, checksums included")
    let elements: UInt64 = 1 << 31
    guard let shape = Shape([elements / 4096, 4096]) else { return }
    let positions = uniformPositions(elements, density: 0.005, seed: 6)
    let values = [UInt8](repeating: 1, count: positions.count)
    let entry = DiffEntry("w", .replace, .u8, shape)
    for (profile, bar) in [(EncodingProfile.size, "≥ 500 M/s"), (.speed, "≥ 1500 M/s")] {
      let reader = try DiffReader(bytes: try encode(entry, positions, values, profile: profile))
      let rate = try rate(positions.count) {
        var pages = reader.pages(of: reader[0])
        while try pages.next() != nil {}
      }
      let codings = try positionBytes(reader).codings
      report.row("decode positions, one core (\(codings))", "\(rate.fixed(0)) M/s", bar: bar)
    }
    var random = SplitMix64(seed: 7)
    let additions = (0..<positions.count * 2).map { i in
      // A few signs and exponents, all mantissas.
      i % 2 == 1 ? UInt8(0x34 | random.next() & 0x83) : UInt8(truncatingIfNeeded: random.next())
    }
    let add = DiffEntry("w", .add(values: .f16, scale: -20), .f32, shape)
    let all = try rate(positions.count) { _ = try encode(add, positions, additions) }
    report.row(
      "encode f16 additions, the smallest, one core", "\(all.fixed(0)) M/s", bar: "≥ 50 M/s")
    let reader = try DiffReader(bytes: try encode(add, positions, additions))
    let decoded = try rate(positions.count) {
      var pages = reader.pages(of: reader[0])
      while try pages.next() != nil {}
    }
    report.row("decode f16 additions, one core", "\(decoded.fixed(0)) M/s")
    try opening(report)
  }

  private static func opening(_ report: Report) throws {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    let none = Fingerprint(high: 1, low: 2)
    for number in 0..<100_000 {
      try writer.begin(
        DiffEntry("layer/\(1_000_000 + number)/kernel", .xor, .bf16, Shape(vector: 1000)))
      try writer.append(ChangeRun(at: 500, [0, 77], [1, 0, 1, 0]))
      try writer.end(base: none, result: none, old: none)
    }
    try writer.finish()
    let source = MemorySource(sink.bytes)
    let times = try seconds(runs: 9) { _ = try DiffReader(source) }
    report.row(
      "open a diff of 100 000 tensors", "\((times.median * 1000).fixed(1)) ms", bar: "≤ 20 ms")
  }

  /// Returns millions per second, by the median of several runs.
  private static func rate(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
    Double(count) / (try seconds(runs: 9, body)).median / 1e6
  }
}
