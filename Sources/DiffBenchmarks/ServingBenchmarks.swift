import Checkpoints
import DiffCommands
import DiffFormat
import DiffOperations
import Kernels
import Platform
import TensorCore

/// The time to switch between finetunes of a model in memory: 110 M float32 elements, as in
/// BERT-base, 0.5 % of them changed at random.
struct ServingBenchmarks {
  private static let tensors = 110
  private static let elements: UInt64 = 1_000_000
  private static let shape = Shape([1000, 1000]) ?? .scalar

  static func run() throws {
    let report = Report("An Overlay on 110 M float32 elements, 0.5 % changed")
    let model = try ResidentModel(NoiseCheckpoint(tensors: tensors, shape))
    let overlay = Overlay(model)
    let before = try hash(overlay)
    var prepared: [PreparedDiff] = []
    var changes: UInt64 = 0
    for number in 0..<2 {
      let diff = try diff(on: model, seed: UInt64(number) << 32)
      let clock = ContinuousClock()
      let time = try clock.measure { prepared.append(try PreparedDiff([diff], for: model)) }
      changes = prepared[number].changes
      report.row(
        "prepare a diff of \((Double(changes) / 1e6).fixed(2)) M changes, base verified",
        "\((time / .milliseconds(1)).fixed(1)) ms")
    }
    // A switch restores the elements of one diff and stores those of the other.
    var attach: [Double] = []
    var detach: [Double] = []
    var hops: [Double] = []
    for _ in 0..<31 {
      attach += try seconds(runs: 1) { try overlay.attach(prepared[0]) }
      hops += try seconds(runs: 1) { try overlay.attach(prepared[1]) }
      detach += seconds(runs: 1) { overlay.detach() }
    }
    let torch = Peers.run(torch, ["\(tensors)", "\(elements)", "\(changes)"], report)
    for (index, (what, times)) in [
      ("attach", attach), ("switch from one to another", hops), ("detach", detach),
    ].enumerated() {
      report.row(
        what, "\((times.median * 1000).fixed(2)) ms",
        torch.map { "torch, index_put per tensor: \($0[index].fixed(2)) ms" } ?? "",
        ratio: torch.map { times.median * 1000 / $0[index] }, bar: "≤ 5 ms")
    }
    report.row("restored bit for bit", try hash(overlay) == before ? "yes" : "NO", bar: "yes")
  }

  private static func hash(_ overlay: Overlay) throws -> [Fingerprint] {
    try overlay.read { view throws(DiffError) in
      var hashes: [Fingerprint] = []
      for name in view.names {
        var bytes: [UInt8] = []
        bytes.append(copying: try view.bytes(of: name))
        hashes.append(.of(.f32, shape, bytes.span))
      }
      return hashes
    }
  }

  private static func diff(on model: ResidentModel, seed: UInt64) throws -> DiffReader {
    let sink = MemorySink()
    let writer = try DiffWriter(sink)
    for (number, tensor) in model.tensors.enumerated() {
      let positions = uniformPositions(elements, density: 0.005, seed: seed + UInt64(number))
      let base = try model.fingerprint(of: tensor)
      try writer.begin(
        DiffEntry(tensor.name, .add(values: .f16, scale: -10), .f32, shape, base: base))
      let values = gaussianHalves(positions.count, seed: seed + UInt64(number))
      let offsets = positions.map { UInt32($0) }
      try writer.append(ChangeRun(at: 0, offsets, values))
      try writer.end()
    }
    try writer.finish()
    return try DiffReader(bytes: sink.bytes)
  }

  /// Times the same with prepared tensors and positions: attach, switch, detach, in milliseconds.
  private static let torch = """
    import sys, time, torch
    torch.manual_seed(0); torch.set_num_threads(torch.get_num_threads())
    n, size, changes = map(int, sys.argv[1:])
    model = [torch.randn(size) for _ in range(n)]
    def diff():
        out = []
        for w in model:
            at = torch.randperm(size)[:changes // n].sort().values
            old = w[at].clone(); out.append((at, old, old + torch.randn(len(at)) * 1e-3))
        return out
    a, b = diff(), diff()
    def put(d, which):
        for w, x in zip(model, d): w[x[0]] = x[which]
    times = ([], [], [])
    for _ in range(31):
        t = [time.perf_counter()]
        put(a, 2); t.append(time.perf_counter())
        put(a, 1); put(b, 2); t.append(time.perf_counter())
        put(b, 1); t.append(time.perf_counter())
        for k in range(3): times[k].append(t[k + 1] - t[k])
    for k in times: print(sorted(k)[len(k) // 2] * 1000)
    """
}

/// A checkpoint of float32 tensors whose elements are a function of their byte offsets.
private final class NoiseCheckpoint: Checkpoint {
  let path = "noise"
  let format: CheckpointFormat? = nil
  let metadata: [String: String] = [:]
  let tensors: [StoredTensor]

  init(tensors count: Int, _ shape: Shape) {
    tensors = (0..<count).map {
      StoredTensor(name: "layer/\(1000 + $0)", type: .f32, shape: shape, storage: .compact)
    }
  }

  func read(_ tensor: StoredTensor, at offset: UInt64, into buffer: inout MutableSpan<UInt8>) {
    var random = SplitMix64(seed: offset)
    for at in stride(from: 0, to: buffer.count, by: 4) {
      let bits = Float(random.unit() - 0.5).bitPattern
      for byte in 0..<4 { buffer[at + byte] = UInt8(truncatingIfNeeded: bits >> (8 * byte)) }
    }
  }

  func makeOutput(
    at path: String, rewriting: Set<TensorName>, changing: [TableChange], overwriting: Bool
  ) throws(DiffError) -> any CheckpointOutput {
    throw DiffError(.unsupported, "is never written", path: path)
  }
}
