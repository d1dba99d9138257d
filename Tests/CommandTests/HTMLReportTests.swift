import DiffFormat
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

@Suite struct HTMLReportTests {
  /// Returns tags that are opened and not closed, or the reverse, and stray markup.
  private func faults(_ page: String) -> [String] {
    var faults: [String] = []
    var open: [String] = []
    var rest = Substring(page)
    while let start = rest.firstIndex(of: "<") {
      if rest[..<start].contains(">") { faults.append("stray >: \(rest[..<start].prefix(80))") }
      guard let end = rest[start...].firstIndex(of: ">") else { return faults + ["unclosed <"] }
      let tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      let name = String(tag.prefix { $0 != " " && $0 != "/" || tag.first == "/" && $0 == "/" })
      if tag.hasPrefix("!") || tag.hasSuffix("/") { continue }
      if tag.hasPrefix("/") {
        let closed = open.popLast()
        if closed != String(tag.dropFirst()) {
          faults.append("\(tag) closes \(closed ?? "nothing")")
        }
        continue
      }
      if tag.contains("<") || tag.count(where: { $0 == "\"" }) % 2 != 0 {
        faults.append("tag \(tag)")
      }
      open.append(name)
    }
    return faults + open.map { "\($0) stays open" }
  }

  /// Returns the exact values in a page's tables.
  private func values(_ page: String) -> Set<String> {
    Set(page.split(separator: "data-value=\"").dropFirst().map { String($0.prefix { $0 != "\"" }) })
  }

  @Test("a report is one valid file, whose numbers are those of stats and compare")
  func numbers() throws {
    try Fixture.with { files in
      let diffs = [files("add.diff"), files("exact.diff")]
      let base = files("base.h5")
      expectSuccess(
        Answer(
          try .run(
            Diffkit.path,
            ["report"] + diffs + ["-o", files("r.html"), "--base", base])), "r.html: ")
      let page = String(decoding: try files.bytes("r.html"), as: UTF8.self)
      #expect(faults(page) == [])
      for word in ["<script", "http:", "https:", "url(", "@import", "src="] {
        let text = page.replacing("http://www.w3.org/2000/svg", with: "")
        #expect(!text.contains(word), "\(word)")
      }
      #expect(page.contains("prefers-color-scheme:dark"))
      let shown = values(page)
      let stats = try JSONValue(
        parsing: Array(
          Answer(.run(Diffkit.path, ["stats", base] + diffs + ["--json"])).output.utf8))
      func expect(_ value: JSONValue?, _ what: String) {
        let digits = value.map(\.compact) ?? "nothing"
        let isShown = shown.contains { $0 == digits || Double($0) == Double(digits) }
        #expect(isShown, "\(what): \(digits)")
      }
      for diff in stats["diffs"]?.elements ?? [] {
        expect(diff["size"], "size")
        expect(diff["modelDensity"], "modelDensity")
        for figures in [diff["sparse"]] + (diff["tensors"]?.elements ?? []).map({ $0["figures"] }) {
          for name in ["elements", "changes", "density", "bytesPerChange"]
          where figures != diff["sparse"] {
            expect(figures?[name], name)
          }
        }
        for name in ["changes", "density", "bitsPerPosition", "boundPerPosition"] {
          expect(diff["sparse"]?[name], name)
        }
        for binade in diff["sparse"]?["values"]?["binades"]?.members ?? [] {
          expect(binade.value, "binade \(binade.name)")
        }
      }
      for name in ["base", "diffs", "copies"] { expect(stats["storage"]?[name], name) }
      let compared = try JSONValue(
        parsing: Array(
          Answer(.run(Diffkit.path, ["compare"] + diffs + ["--base", base, "--json"])).output.utf8))
      let pair = compared["matrix"]?.elements?[0].elements?[1]
      for name in ["shared", "jaccard", "cosine", "signAgreement", "normRatio"] {
        expect(pair?[name], name)
      }
    }
  }

  @Test("names, metadata and paths of a hostile file are text, not markup")
  func hostile() throws {
    try Fixture.with { files in
      let evil = "</td><script>alert(1)</script>\" onload='x' & \u{1B}[2J\u{202E}"
      try files.makeDiff(
        "<u>&.diff", named: TensorName(evil), metadata: ["note": "</style><img src=x>"])
      let answer = try Diffkit.run("report", files("<u>&.diff"), "-o", files("r.html"))
      expectSuccess(answer)
      let page = String(decoding: try files.bytes("r.html"), as: UTF8.self)
      #expect(faults(page) == [])
      for word in ["<script", "<img", "<u>", "onload='", "\u{1B}", "\u{202E}"] {
        #expect(!page.contains(word), "\(word)")
      }
      #expect(page.contains("&lt;/td&gt;&lt;script&gt;alert(1)"))
      #expect(page.contains("&lt;/style&gt;&lt;img src=x&gt;"))
    }
  }

  @Test("every valid sample has a valid report")
  func samples() throws {
    try Scratch.with { scratch in
      let folder = Repository.path + "/samples/valid"
      let names = try Scratch(path: folder).names.filter { $0.hasSuffix(".diff") }
      #expect(names.count > 30)
      for name in names {
        let answer = try Diffkit.run("report", "\(folder)/\(name)", "-o", "-")
        #expect((answer.code, answer.errors) == (0, ""), "\(name)")
        #expect(faults(answer.output) == [], "\(name)")
      }
      expectTrouble(
        try Diffkit.run("report", "\(folder)/add.diff", "--tensor", "none", "-o", scratch("r")),
        "tensor 'none'")
      #expect(!scratch.exists("r"))
    }
  }

  @Test("numbers of metrics that cannot be drawn are refused", arguments: ["step", "loss"])
  func hugeMetrics(_ member: String) throws {
    try Fixture.with { files in
      for number in ["1e30", "9223372036854775807", "1e999", "-1e308"] {
        let line = #"{"step":1,"loss":1}"#.replacing(
          #""\#(member)":1"#, with: #""\#(member)":\#(number)"#)
        try write(Array((line + "\n").utf8), toFile: files("\(number).jsonl"))
        let answer = try Diffkit.run(
          "report", files("add.diff"), "--metrics", files("\(number).jsonl"), "-o",
          files("r.html"))
        expectTrouble(answer, "\(number).jsonl", "line 1")
      }
    }
  }

  @Test("Chromium draws it", .enabled(if: chromium != nil, "there is no Chromium here"))
  func screenshot() throws {
    try Fixture.with { files in
      expectSuccess(
        try Diffkit.run(
          "report", files("add.diff"), "-o", files("r.html"), "--base", files("base.h5")))
      let browser = try #require(chromium)
      let child = try ChildProcess.run(
        "timeout",
        [
          "60", browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=900,1400",
          "--screenshot=\(files("r.png"))", "file://\(files("r.html"))",
        ])
      #expect(child.ending == .exit(0))
      #expect(try files.bytes("r.png").count > 20_000)
    }
  }
}
