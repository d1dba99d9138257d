import Checkpoints
import DiffCommands
import DiffFormat
import DiffOperations
import DiffStore
import Platform
import SystemSupport
import TensorCore
import TestSupport

/// A store of a bf16 model and a hundred steps of 1 %, each element by one unit in the last place.
/// Files are warm; what writes is timed to the end of a `sync`.
enum StoreBenchmarks {
  private static let links = 100
  private static let tensors = 8
  private static let density = 0.01

  static func run() throws {
    try SideBySide.withFolder { folder in
      let report = Report(
        "A store: \(LargeFiles.usual) GB of bf16, \(links) steps of 1 % by one unit, no anchor between"
      )
      // In a process of its own, whose memory would count as that of the next ones.
      let program = ProgramArguments.words[0]
      let made = try SideBySide.child(program, ["store-make", folder])
      let bytes = String(decoding: made.output, as: UTF8.self)
      report.row("bytes of such a link", "\(bytes.dropLast()) a change", bar: "≤ 1.25")
      try catchUp(folder, report)
      try add(folder, report)
      try log(folder, report)
    }
    try follow()
  }

  /// Makes the store and its links out of models in memory.
  static func make(_ folder: String) throws {
    let files = LargeFiles(type: .bf16, format: .safetensors, folder: folder)
    try files.makeBase()
    let base = try CheckpointFile.open(files.base)
    let store = try Store.create(folder + "/store", base: base, anchorShare: 1e9)
    var model = try base.tensors.map { tensor in
      var bytes = [UInt8](repeating: 0, count: Int(tensor.byteCount))
      var span = bytes.mutableSpan
      try base.read(tensor, at: 0, into: &span)
      return MemoryTensor(tensor.name, tensor.type, tensor.shape, bytes)
    }
    var before = MemoryCheckpoint(model)
    var (size, changes): (UInt64, UInt64) = (0, 0)
    for link in 1...links {
      for number in model.indices {
        let seed = UInt64(link * tensors + number)
        let count = UInt64(model[number].bytes.count / 2)
        for position in uniformPositions(count, density: density, seed: seed) {
          let at = Int(position) * 2
          let pattern = UInt16(model[number].bytes[at]) | UInt16(model[number].bytes[at + 1]) << 8
          let next = position % 3 == 0 ? pattern &- 1 : pattern &+ 1
          model[number].bytes[at] = UInt8(truncatingIfNeeded: next)
          model[number].bytes[at + 1] = UInt8(truncatingIfNeeded: next >> 8)
        }
      }
      let after = MemoryCheckpoint(model)
      var options = AddOptions()
      options.name = "step-\(link)"
      let added = try store.add(after, options, from: before).version
      size += added.link?.file.size ?? 0
      changes += added.link?.changes ?? 0
      before = after
    }
    print((Double(size) / Double(changes)).fixed(3))
  }

  private static func catchUp(_ folder: String, _ report: Report) throws {
    let (store, base, output) = (folder + "/store", folder + "/base.safetensors", folder + "/out")
    let opened = try Store(store)
    let diffs = opened.index.versions.compactMap(\.link).map { "\(store)/links/\($0.file.name)" }
    let composed = folder + "/composed.diff"
    try SideBySide.diffkit(["compose", "-o", composed, "-q"] + diffs)
    let timing = SideBySide(runs: 3)
    let (ours, one) = try timing.measure(
      {
        try SideBySide.diffkit([
          "store", "switch", store, base, "step-\(links)", "-o", output, "-q",
        ])
      },
      { try SideBySide.diffkit(["apply", base, composed, "-o", output, "-q"]) }, removing: output)
    report.row(
      "catching up \(links) links, -o", "\(ours)", "apply of the one composed diff \(one)",
      ratio: ours.seconds / one.seconds, bar: "≤ 2")
    report.row("catching up, peak memory", ours.megabytes, bar: "≤ 128 MB")
    let (single, _) = try timing.measure(
      { try SideBySide.diffkit(["apply", base, diffs[0], "-o", output, "-q"]) },
      { try SideBySide.child("true", []) }, removing: output)
    report.row(
      "catching up \(links) links, -o", "\(ours)",
      "\(links) times apply of one link, \((single.seconds * Double(links)).fixed(1)) s",
      ratio: ours.seconds / (single.seconds * Double(links)), bar: "≤ 0.05")
    let copy = folder + "/copy.safetensors"
    let (inPlace, copied) = try timing.measure(
      {
        try SideBySide.diffkit([
          "store", "switch", store, copy, "step-\(links)", "--in-place", "-q",
        ])
      },
      { try SideBySide.child("cp", [base, output]) }, removing: output
    ) {
      try SideBySide.child("cp", [base, copy])
      try SideBySide.diffkit(["store", "switch", store, copy, "base", "--in-place", "-q"])
    }
    report.row(
      "the same in place", "\(inPlace)", "cp of the checkpoint \(copied)",
      ratio: inPlace.seconds / copied.seconds, bar: "two reads, one write and the links")
  }

  private static func add(_ folder: String, _ report: Report) throws {
    let (store, base) = (folder + "/second", folder + "/base.safetensors")
    let (tuned, diff) = (folder + "/tuned.safetensors", folder + "/one.diff")
    try SideBySide.diffkit(["store", "get", folder + "/store", "step-1", "-o", tuned, "-q"])
    try SideBySide.diffkit(["store", "init", store, base, "-q"])
    var number = 0
    let (add, create) = try SideBySide(runs: 3).measure(
      {
        number += 1
        return try SideBySide.diffkit(
          ["store", "add", store, tuned, "--parent", "base", "--name", "a\(number)", "-q"])
      },
      { try SideBySide.diffkit(["create", base, tuned, "-o", diff, "-q"]) }, removing: diff)
    report.row(
      "store add of a step", "\(add)", "create \(create)", ratio: add.seconds / create.seconds,
      bar: "≤ 1.15")
  }

  private static func log(_ folder: String, _ report: Report) throws {
    let path = folder + "/long"
    try Folder.create(path)
    var rows: [String] = []
    let hash = String(repeating: "0123456789abcdef", count: 4)
    for number in 0...10_000 {
      let digits = String(number + 1_000_000_000, radix: 16)
      let name = String(repeating: "0", count: 32 - digits.count) + digits
      let file = "\"size\":25000000,\"sha256\":\"\(hash)\""
      let way =
        number == 0
        ? "\"anchor\":{\"name\":\"a\",\"folder\":false,\"files\":[{\(file)}]}"
        : "\"parent\":\"step-\(number - 1)\",\"link\":{\"diff\":\"\(name)\",\"kind\":\"exact\","
          + "\"changes\":20000000,\"elements\":2000000000,\(file)}"
      rows.append(
        "{\"name\":\"step-\(number)\",\"checkpoint\":\"\(name)\",\"time\":1764160000,\(way)}")
    }
    let text =
      "{\"diffkit-store\":1,\"generation\":1,\"anchor-share\":0.5,\"anchor-links\":9999,"
      + "\"versions\":[\n\(rows.joined(separator: ",\n"))\n]}\n"
    let sink = try FileSink(path + "/store.json")
    try sink.write(Array(text.utf8).span)
    try sink.commit()
    let times = try seconds(runs: 7) { try SideBySide.diffkit(["store", "log", path]) }
    report.row(
      "store log of 10 001 versions", "\((times.median * 1000).fixed(0)) ms", bar: "≤ 100 ms")
  }

  /// A follower of 110 M bf16 elements.
  private static func follow() throws {
    try SideBySide.withFolder { folder in
      let report = Report("A Follower of 110 M bf16 elements, 1 % changed")
      var files = LargeFiles(type: .bf16, format: .safetensors, folder: folder)
      files.gigabytes = 0.22
      try files.makeBase()
      try files.makeTuned("tuned", density: density, hotRows: false)
      let store = try Store.create(
        folder + "/store", base: CheckpointFile.open(files.base), anchorShare: 1e9)
      var options = AddOptions()
      options.name = "step"
      _ = try store.add(CheckpointFile.open(files.path("tuned")), options)
      let follower = try Follower(store, at: "base")
      var (prepare, commit): ([Double], [Double]) = ([], [])
      for round in 0..<15 {
        prepare += try seconds(runs: 1) {
          try follower.prepare(round % 2 == 0 ? "step" : "base")
        }
        commit += try seconds(runs: 1) { try follower.commit() }
      }
      report.row("prepare", "\((prepare.median * 1000).fixed(0)) ms")
      report.row("commit", "\((commit.median * 1000).fixed(2)) ms", bar: "≤ 10 ms")
    }
  }
}
