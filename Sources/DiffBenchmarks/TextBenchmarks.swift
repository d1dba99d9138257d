import DiffCommands
import DiffTraining
import Platform
import TensorCore
import TestSupport

/// Tokenizer and optimizer on one core, compared with Hugging Face's and PyTorch's in the same run.
/// The peers' Python is that of `DIFFKIT_PEERS`, else of `../peers-venv`; the data are in
/// `../shared`.
enum TextBenchmarks {
  private static let shared = "../shared/data"
  private static let file = shared + "/tasks/mr/train.tsv"
  private static let vocabulary = shared + "/models/minilm-l6/vocab.txt"
  private static let parameterCount = 22_713_216

  static func run() throws {
    let report = Report("Texts and steps, one core")
    let peer = peers()
    let data = try TaskData(table: file)
    let texts = data.rows.map(\.first)
    let bytes = texts.reduce(0) { $0 + $1.utf8.count }
    let tokenizer = try TokenizerFiles.open(vocabulary)
    var tokens = 0
    let tokenizing = seconds(runs: 7) {
      tokens = texts.reduce(0) { $0 + tokenizer.encode($1, maxLength: 128).ids.count }
    }.median
    let rate = Double(texts.count) / tokenizing
    report.row(
      "WordPiece, texts/s (\(texts.count) of \(bytes / texts.count) bytes, \(tokens) tokens)",
      rate.fixed(0), peer["tokenizers"].map { $0.fixed(0) } ?? "no peer",
      ratio: peer["tokenizers"].map { rate / $0 }, bar: "≥ 100 000")
    let opening = try seconds(runs: 5) { _ = try TokenizerFiles.open(vocabulary) }.median
    report.row("opening vocab.txt, ms", (opening * 1000).fixed(1))
    let reading = try seconds(runs: 5) { _ = try TaskData(table: file) }.median
    report.row("reading \(texts.count) rows of TSV, ms", (reading * 1000).fixed(1))
    try step(report, peer["adamw"])
  }

  /// Times a step of AdamW on the number of parameters of MiniLM-L6.
  private static func step(_ report: Report, _ peer: Double?) throws {
    var layout = ParameterLayout()
    guard let shape = Shape([UInt64(parameterCount)]) else { return }
    try layout.append("all", shape)
    let values = FloatBuffer(count: layout.count)
    let gradients = Gradients(layout)
    let buffer = gradients.values
    var span = buffer.mutableSpan
    for index in span.indices { span[index] = Float(index % 1000) * 1e-6 }
    let optimizer = AdamW(layout, parameters: [0])
    let step = seconds(runs: 9) { optimizer.step(values, gradients, rate: 1e-5) }.median
    report.row(
      "AdamW and clipping, ms (22.7 M parameters)", (step * 1000).fixed(1),
      peer.map { ($0 * 1000).fixed(1) } ?? "no peer", ratio: peer.map { $0 / step })
  }

  /// Returns the results of the peers by name; empty if they are not installed.
  private static func peers() -> [String: Double] {
    let python =
      unsafe getenv("DIFFKIT_PEERS").map { unsafe String(cString: $0) }
      ?? "../peers-venv/bin/python"
    let script = """
      import os, time, statistics
      os.environ["TOKENIZERS_PARALLELISM"] = "false"
      import torch
      from transformers import BertTokenizer
      torch.set_num_threads(1)
      vocab = {p: i for i, p in enumerate(open("\(vocabulary)").read().rstrip().split("\\n"))}
      tokenizer = BertTokenizer(vocab=vocab)._tokenizer
      texts = [row.split("\\t")[0] for row in open("\(file)").read().rstrip("\\n").split("\\n")]
      def median(body, runs):
          times = []
          for _ in range(runs):
              start = time.perf_counter()
              body()
              times.append(time.perf_counter() - start)
          return statistics.median(times)
      print("tokenizers", len(texts) / median(lambda: tokenizer.encode_batch(texts), 7))
      p = torch.zeros(\(parameterCount), requires_grad=True)
      p.grad = torch.arange(\(parameterCount)) % 1000 * 1e-6
      adam = torch.optim.AdamW([p], lr=1e-5, eps=1e-8, weight_decay=0, fused=True)
      def step():
          torch.nn.utils.clip_grad_norm_([p], 1.0)
          adam.step()
      print("adamw", median(step, 9))
      """
    guard let process = try? ChildProcess.run(python, ["-c", script]) else { return [:] }
    let lines = String(decoding: process.output, as: UTF8.self).split(separator: "\n")
    let pairs = lines.map { $0.split(separator: " ") }.filter { $0.count == 2 }
    return Dictionary(
      pairs.compactMap { pair in Double(pair[1]).map { (String(pair[0]), $0) } },
      uniquingKeysWith: { first, _ in first })
  }
}
