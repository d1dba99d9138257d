import Checkpoints
import Compression
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
      let bytes = try makeApart(folder, links: links, gigabytes: LargeFiles.usual)
      report.row("bytes of such a link", "\(bytes[0].fixed(3)) a change", bar: "≤ 1.25")
      report.row(
        "bytes of the first link", "\(bytes[1].fixed(3)) a change",
        "u16 gaps, XOR and zstd -1: \(bytes[2].fixed(3))", ratio: bytes[1] / bytes[2],
        bar: "≤ 0.80")
      try catchUp(folder, report)
      try add(folder, report)
    }
  }

  static func logs() throws {
    try SideBySide.withFolder { folder in try log(folder, Report("The log of a long store")) }
  }

  /// Makes the store in a process of its own, whose memory would count as that of the next ones.
  ///
  /// - Returns: the bytes of a change: on average, in the first link, and as others publish that one.
  private static func makeApart(
    _ folder: String, links: Int, gigabytes: Double
  ) throws -> [Double] {
    let made = try SideBySide.child(
      ProgramArguments.words[0], ["store-make", folder, "\(links)", "\(gigabytes)"])
    return String(decoding: made.output, as: UTF8.self).split(separator: "\n")
      .compactMap { Double($0) }
  }

  /// Makes a store and its links out of models in memory.
  ///
  /// - Parameter arguments: the folder, how many links, and gigabytes.
  static func make(_ arguments: [String]) throws {
    guard arguments.count == 3, let links = Int(arguments[1]), let gigabytes = Double(arguments[2])
    else { return }
    let folder = arguments[0]
    var files = LargeFiles(type: .bf16, format: .safetensors, folder: folder)
    files.gigabytes = gigabytes
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
    var first: (ours: Double, peer: Double) = (0, 0)
    for link in 1...links {
      var peer = 0
      for number in model.indices {
        let seed = UInt64(link * tensors + number)
        let count = UInt64(model[number].bytes.count / 2)
        let positions = uniformPositions(count, density: density, seed: seed)
        var xors: [UInt16] = []
        for position in positions {
          let at = Int(position) * 2
          let pattern = UInt16(model[number].bytes[at]) | UInt16(model[number].bytes[at + 1]) << 8
          let next = position % 3 == 0 ? pattern &- 1 : pattern &+ 1
          model[number].bytes[at] = UInt8(truncatingIfNeeded: next)
          model[number].bytes[at + 1] = UInt8(truncatingIfNeeded: next >> 8)
          if link == 1 { xors.append(pattern ^ next) }
        }
        if link == 1 { peer += plainSize(positions, xors) }
      }
      let after = MemoryCheckpoint(model)
      var options = AddOptions()
      options.name = "step-\(link)"
      let added = try store.add(after, options, from: before).version
      size += added.link?.file.size ?? 0
      changes += added.link?.changes ?? 0
      if link == 1 { first = (Double(size) / Double(changes), Double(peer) / Double(changes)) }
      before = after
    }
    for number in [Double(size) / Double(changes), first.ours, first.peer] {
      print(number.fixed(4))
    }
  }

  /// Bytes of a tensor's changes in the way that others publish them: the gaps between positions in 16
  /// bits, the exclusive-or of patterns, and Zstandard of level 1 over all that.
  private static func plainSize(_ positions: [UInt64], _ xors: [UInt16]) -> Int {
    var bytes: [UInt8] = []
    var last: UInt64 = 0
    for position in positions {
      // Wider gaps are as good as none at this density.
      bytes.append(littleEndian: UInt16(clamping: position - last))
      last = position
    }
    for xor in xors { bytes.append(littleEndian: xor) }
    return ZstdCompressor(level: 1, size: UInt64(bytes.count))
      .compress(bytes.span, isLast: true).count
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
      let name = fingerprint(number)
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

  /// Switching in place between two tasks of a store of a thousand, on a model of MiniLM's size.
  static func tasks() throws {
    try SideBySide.withFolder { folder in
      let report = Report("A store of 1 000 exact tasks of 0.5 % on 22.7 M float32 weights")
      var files = LargeFiles(type: .f32, format: .safetensors, folder: folder)
      files.gigabytes = 0.0909
      try files.makeBase()
      let path = folder + "/store"
      let store = try Store.create(path, base: CheckpointFile.open(files.base), anchorShare: 1e9)
      for number in 0..<2 {
        let name = "task-\(number)"
        try files.makeTuned(name, density: 0.005 + 1e-6 * Double(number), hotRows: false)
        var options = AddOptions()
        options.name = name
        options.parent = "base"
        _ = try store.add(CheckpointFile.open(files.path(name)), options)
      }
      try pad(path, with: 998)
      let diffs = try Store(path).index.versions[1...2].compactMap(\.link)
        .map { "\(path)/links/\($0.file.name)" }
      let (served, copy) = (folder + "/served.safetensors", folder + "/copy.safetensors")
      for file in [served, copy] {
        try SideBySide.child("cp", [files.base, file])
        try SideBySide.diffkit(["apply", file, diffs[0], "--in-place", "-q"])
      }
      var at = 0
      let (ours, peer) = try SideBySide(runs: 9).measure(
        {
          at = 1 - at
          return try SideBySide.diffkit([
            "store", "switch", path, served, "task-\(at)", "--in-place", "-q",
          ])
        },
        {
          try SideBySide.diffkit(["revert", copy, diffs[1 - at], "--in-place", "-q"])
          return try SideBySide.diffkit(["apply", copy, diffs[at], "--in-place", "-q"])
        }, removing: folder + "/nothing")
      report.row(
        "switch in place", "\(ours)", "one revert and one apply in place \(peer)",
        ratio: ours.seconds / peer.seconds, bar: "≤ 1.2")
    }
  }

  /// The fingerprint that row `number` of an index states.
  private static func fingerprint(_ number: Int) -> Fingerprint {
    Fingerprint(high: 0, low: UInt64(number) + 1_000_000_000)
  }

  /// Adds rows to an index that are like its last one but for their names and fingerprints: what is
  /// never gone to is never read.
  private static func pad(_ path: String, with count: Int) throws {
    let text = String(decoding: try File.contents(of: path + "/store.json"), as: UTF8.self)
    let rows = text.split(separator: "\n")
    let last = String(rows[rows.count - 2])
    guard let version = try Store(path).index.versions.last else { return }
    let more = (0..<count).map { number in
      last.replacing("\"\(version.name)\"", with: "\"other-\(number)\"").replacing(
        "\"checkpoint\":\"\(version.fingerprint)\"",
        with: "\"checkpoint\":\"\(fingerprint(number))\"")
    }
    let whole =
      rows.dropLast().joined(separator: "\n") + ",\n" + more.joined(separator: ",\n") + "\n]}\n"
    try OutputFile.write(Array(whole.utf8), to: path + "/store.json", overwriting: true)
  }

  /// Switching by a store behind nginx on loopback, beside the same store in a folder.
  static func afar() throws {
    let links = 20
    try SideBySide.withFolder { folder in
      let report = Report("A store at an address: 1 GB of bf16, \(links) steps of 1 % by one unit")
      _ = try makeApart(folder, links: links, gigabytes: 1)
      let (store, base, output) = (folder + "/store", folder + "/base.safetensors", folder + "/out")
      let script = Repository.path + "/Tests/RemoteFilesTests/nginx_server.py"
      try LoopbackServer.with([script, folder]) { server in
        func run(_ store: String, _ options: [String] = []) throws -> ChildProcess {
          try SideBySide.diffkit(
            ["store", "switch", store, base, "step-\(links)", "-o", output, "-q"] + options)
        }
        let address = "http://127.0.0.1:\(server.port)/store"
        let cache = ["--cache", folder + "/cache"]
        let cached = try SideBySide(runs: 5).measure(
          { try run(address, cache) }, { try run(store) }, removing: output)
        report.row(
          "switch over HTTP, links cached", "\(cached.0)", "the store in a folder \(cached.1)",
          ratio: cached.0.seconds / cached.1.seconds, bar: "≤ 1.1")
        let fresh = try SideBySide(runs: 5).measure(
          { try run(address) }, { try run(store) }, removing: output)
        report.row(
          "switch over HTTP, links not cached", "\(fresh.0)", "the store in a folder \(fresh.1)",
          ratio: fresh.0.seconds / fresh.1.seconds, bar: "≤ 1.3")
        report.row("its peak memory", fresh.0.megabytes, "in a folder \(fresh.1.megabytes)")
      }
    }
  }

  /// A follower of 110 M bf16 elements.
  static func follow() throws {
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
