import DiffCommands
import DiffFormat
import DiffTraining
import Kernels
import SystemSupport
import TensorCore
import TestSupport

/// The time to read a million rows of CSV, compared with Python's csv in the same run.
enum TableBenchmarks {
  private static let rows = 1_000_000

  static func run() throws {
    let report = Report("Reading a million rows of CSV, one core")
    try Scratch.with { scratch in
      let path = scratch("rows.csv")
      let size = try makeTable(path)
      let ours = try (0..<3).map { _ in
        try ChildProcess.run("taskset", ["-c", "0", ProgramArguments.words[0], "read-rows", path])
      }
      func time(_ process: ChildProcess) -> Double {
        Double(String(decoding: process.output, as: UTF8.self).filter { $0 != "\n" }) ?? .nan
      }
      let peers = try (0..<3).map { _ in
        try ChildProcess.run("taskset", ["-c", "0", "python3", "-c", script, path])
      }
      let (own, peer) = (ours.map(time).median, peers.map(time).median)
      report.row(
        "\(rows / 1_000_000) M rows of 4 fields, \(size / 1_000_000) MB", "\(own.fixed(2)) s",
        "Python's csv: \(peer.fixed(2)) s", ratio: own / peer, bar: "≤ 1")
      let memory = ours.map(\.peakMemory).max() ?? 0
      report.row("peak memory", "\(memory / 1_000_000) MB", bar: "≤ 64 MB")
    }
  }

  /// Reads all texts of a file, and prints the time.
  static func read(_ path: String) throws {
    var characters = 0
    let time = try seconds(runs: 1) {
      var reader = try TableReader(path)
      while try reader.next() {
        for column in 0..<reader.count { characters += try reader.text(column).utf8.count }
      }
    }[0]
    guard characters > 0 else { throw DiffError(.malformed, "no texts", path: path) }
    print(time)
  }

  private static let script = """
    import csv, sys, time
    start, count = time.perf_counter(), 0
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            for field in row:
                count += len(field)
    print(time.perf_counter() - start)
    """

  /// Writes texts of 10 to 120 letters, some with umlauts, every fourth in quotes; returns the size
  /// in bytes.
  private static func makeTable(_ path: String) throws -> Int {
    let words = [
      "ein", "schöner", "Tag", "review", "of", "the", "product", "Straße", "good", "bad",
    ]
    let sink = try FileSink(path)
    var random = SplitMix64(seed: 1)
    var block = "id,text,shop,label\n"
    var size = 0
    for row in 0..<rows {
      let count = 2 + Int(random.next(below: 18))
      let text = (0..<count).map { _ in words[Int(random.next(below: 10))] }
        .joined(separator: " ")
      let field = row % 4 == 0 ? "\"\(text), \"\"so\"\"\"" : text
      block += "\(row),\(field),shop \(row % 7),\(row % 3)\n"
      if block.utf8.count > 1 << 20 || row == rows - 1 {
        size += block.utf8.count
        try sink.write(Array(block.utf8).span)
        block = ""
      }
    }
    try sink.commit()
    return size
  }
}
