import Platform
import StrictJSON
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// The pictures of `report`: what they show, and that nothing of them is cut off or faint.
@Suite struct HTMLReportLayoutTests {
  private static let tensors = ["query", "key"].flatMap { kind in
    (0..<12).map { "model/encoder/layer/\($0)/attention/self/a_long_name_of_a_\(kind)/weight" }
  }

  /// Makes a base, and a diff for each share of the elements of its first tensors.
  private func make(_ files: Fixture, _ shares: [(name: String, tensors: Int, share: Double)])
    throws
  {
    let shape = try #require(Shape([16, 16], of: .f32))
    func checkpoint(_ name: String, _ values: (Int) -> [Float]) throws {
      try files.make(
        name,
        Self.tensors.enumerated().map { index, name in
          MemoryTensor(TensorName(name), .f32, shape, littleEndian(values(index)))
        })
    }
    let base = [Float](repeating: 1, count: 256)
    try checkpoint("b.safetensors") { _ in base }
    for (name, tensors, share) in shares {
      try checkpoint("\(name).safetensors") { index in
        let count = index < tensors ? Int(share * 256) : 0
        return (0..<256).map { $0 < count ? 1 + Float($0 + 1) / 256 : 1 }
      }
      let answer = try Diffkit.run(
        "create", files("b.safetensors"), files("\(name).safetensors"), "-o", files("\(name).diff"),
        "--meta", "note=\(String(repeating: "long", count: 100))", "-q")
      expectSuccess(answer)
    }
  }

  /// Writes the metrics of a run: a gated and a fixed stage, two layers, one score that changes and
  /// one that does not.
  private func makeMetrics(_ files: Fixture, _ name: String, lossOffset: Double = 0) throws {
    let lines = (1...8).map { step in
      let isGated = step <= 4
      let shares = (isGated ? 1.0 / Double(step) : 0.25, isGated ? 1.0 : 0.01)
      let kind = isGated ? "open_density" : "density"
      let scores = step % 4 == 0 ? #","accuracy":0.\#(step),"f1":0"# : ""
      return #"{"step":\#(step),"stage":"\#(isGated ? "gates" : "fixed")","#
        + #""loss":\#(lossOffset + 1 / Double(step)),"open_density":\#(shares.0),"#
        + #""layers":{"embeddings":{"\#(kind)":\#(shares.1)},"0":{"\#(kind)":\#(shares.0)}}"#
        + scores + "}\n"
    }
    try write(Array(lines.joined().utf8), toFile: files(name))
  }

  /// Runs `report` and returns the page.
  private func report(_ files: Fixture, _ arguments: [String]) throws -> String {
    let answer = try Diffkit.run(["report"] + arguments + ["-o", files("r.html"), "--force"])
    #expect((answer.code, answer.errors) == (0, ""))
    return String(decoding: try files.bytes("r.html"), as: UTF8.self)
  }

  /// Returns the texts between two others.
  private func texts(_ page: String, from start: String, to end: Character) -> [String] {
    page.split(separator: start, omittingEmptySubsequences: false).dropFirst()
      .map { String($0.prefix { $0 != end }) }
  }

  @Test("matrices have the names of rows and columns, or numbers where many diffs are compared")
  func names() throws {
    try Fixture.with { files in
      let all = (1...14).map { "task-\($0)" }
      try make(files, all.map { ($0, 2, 0.25) })
      let few = try report(files, all.prefix(3).map { files("\($0).diff") })
      for (index, name) in all.prefix(3).enumerated() {
        let label = "\(index + 1) \(name)"
        #expect(few.contains("<span class=\"column\">\(label)</span>"))
        #expect(few.contains("<span class=\"name\">\(label)</span>"))
      }
      let many = try report(files, all.map { files("\($0).diff") })
      #expect(!many.contains("class=\"column\""))
      #expect(many.contains("<span class=\"name\">14 task-14</span>"))
      #expect(texts(many, from: "<span class=\"top\" ", to: "<").contains { $0.hasSuffix(">13") })
    }
  }

  @Test("diffs have the same rows and one scale, and a map of a tensor that they do not change")
  func sharedScale() throws {
    try Fixture.with { files in
      try make(files, [("full", 24, 1), ("quarter", 1, 0.25)])
      let (full, quarter) = (files("full.diff"), files("quarter.diff"))
      let page = try report(files, [full, quarter, "--tensor", Self.tensors[5]])
      let sections = page.split(separator: "<section>").map(String.init)
      let densities = try #require(sections.first { $0.contains("Density by layer") })
      let halves = densities.split(separator: "<figure>").dropFirst().map(String.init)
      let rows = halves.map { texts($0, from: "<span class=\"name\">", to: "<") }
      #expect(rows.count == 2 && rows[0].count > 3 && rows[0] == rows[1])
      #expect(texts(halves[0], from: "--s:", to: "\"").allSatisfy { $0 == "1.000" })
      // A quarter of the maximum is drawn as its square root; the scale follows.
      #expect(texts(halves[1], from: "--s:", to: "\"").first == "0.500")
      let maps = try #require(
        sections.first { $0.contains("Changes of model/<wbr/>encoder/<wbr/>layer/<wbr/>5") })
      #expect(maps.contains("1 full: maximum 100.00 %"))
      #expect(maps.contains("2 quarter: no changes"))
      #expect(maps.split(separator: "class=\"raster\"").count == 3)
      let command = "diffkit report \(full) \(quarter) --tensor \(Self.tensors[5])"
      #expect(page.contains("Report made on 20") && page.contains("<code>\(command)</code>"))
    }
  }

  @Test("a tensor that a diff inserts is no tensor without changes")
  func wholeTensor() throws {
    try Fixture.with { files in
      let shape = try #require(Shape([2, 2], of: .f32))
      let common = MemoryTensor("v", .f32, littleEndian([1] as [Float]))
      func tensor(_ value: Float) -> MemoryTensor {
        MemoryTensor("w", .f32, shape, littleEndian([value, 1, 1, 1]))
      }
      try files.make("none.safetensors", [common])
      try files.make("one.safetensors", [common, tensor(1)])
      try files.make("two.safetensors", [common, tensor(2)])
      for (base, diff) in [("none", "insert"), ("one", "change")] {
        expectSuccess(
          try Diffkit.run(
            "create", files("\(base).safetensors"), files("two.safetensors"), "-o",
            files("\(diff).diff"), "-q"))
      }
      let page = try report(files, [files("insert.diff"), files("change.diff")])
      #expect(page.contains("1 insert: insert of the whole tensor"))
      #expect(page.contains("2 change: maximum 100.00 %"))
    }
  }

  @Test("curves of runs share charts, layers are drawn, and constant scores are a line of text")
  func training() throws {
    try Fixture.with { files in
      try makeMetrics(files, "one.jsonl")
      try makeMetrics(files, "two.jsonl", lossOffset: 1)
      let metrics = ["one.jsonl", "two.jsonl"].flatMap { ["--metrics", files($0)] }
      let page = try report(files, [files("add.diff")] + metrics)
      let training = try #require(page.split(separator: "<section>").map(String.init).last)
      let titles = texts(training, from: "<figcaption><b>", to: "<")
      #expect(
        titles == ["Loss", "Open gates, %", "accuracy", "one: steps 1 to 8", "two: steps 1 to 8"])
      #expect(training.contains("The same at all steps: f1 0 (one), 0 (two)."))
      #expect(training.contains("<span class=\"key c1\">two 0.800</span>"))
      #expect(
        texts(training, from: "<span class=\"name\">", to: "<")
          == ["embeddings", "0", "embeddings", "0"])
      #expect(
        texts(training, from: "<span class=\"value\">", to: "<")
          == ["1.00 %", "25.00 %", "1.00 %", "25.00 %"])
      // Shares of 1 and 0.01 are levels 64 and 7 of 64, in the steps 1 to 4 and 5 to 8.
      #expect(training.contains("--s:1.000\" d=\"M0 0h4v1h-4z\""))
      #expect(training.contains("--s:0.109\" d=\"M4 0h4v1h-4z\""))
    }
  }

  /// Returns the ratio of two colors' luminances (WCAG 2.2), from 1 to 21.
  private func contrast(_ one: [Double], _ other: [Double]) -> Double {
    func luminance(_ color: [Double]) -> Double {
      let linear = color.map { part -> Double in
        let value = part / 255
        return value <= 0.03928 ? value / 12.92 : pow((value + 0.055) / 1.055, 2.4)
      }
      return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
    let (a, b) = (luminance(one), luminance(other))
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
  }

  @Test("all texts have a contrast of 4.5 and marks one of 3, in light and in dark")
  func contrasts() throws {
    try Fixture.with { files in
      let page = try report(files, [files("add.diff")])
      for mode in page.split(separator: ":root{").dropFirst() {
        let variables = Dictionary(
          uniqueKeysWithValues: mode.prefix { $0 != "}" }.split { ";\n".contains($0) }
            .filter { $0.contains("--") }.map { line in
              let parts = line.split(separator: ":").map {
                String($0.trimmingPrefix { $0 == " " })
              }
              return (parts[0], parts[1])
            })
        func color(_ name: String) throws -> [Double] {
          let text = try #require(variables["--" + name])
          guard text.hasPrefix("#") else {
            return text.split(separator: " ").compactMap { Double($0) }
          }
          // #rgb or #rrggbb.
          let digits = text.dropFirst().map { String($0) }
          let size = digits.count / 3
          return (0..<3).map { part -> Double in
            let pair =
              size == 1 ? digits[part] + digits[part] : digits[2 * part] + digits[2 * part + 1]
            return Double(Int(pair, radix: 16) ?? 0)
          }
        }
        let most = try #require(variables["--most"].flatMap { Double("0" + $0) }) + 0.05
        let card = try color("card")
        let ink = try color("ink")
        let darkest = (0..<3).map { part -> Double in most * ink[part] + (1 - most) * card[part] }
        for text in ["text", "muted"] {
          for ground in [try color("paper"), card] {
            #expect(contrast(try color(text), ground) >= 4.5, "\(text)")
          }
        }
        for ground in [darkest, try color("empty")] {
          #expect(contrast(try color("text"), ground) >= 4.5)
        }
        for mark in ["c0", "c1", "c2", "c3", "c4", "c5", "copies"] {
          #expect(contrast(try color(mark), card) >= 3, "\(mark)")
        }
      }
      // The two modes, and no colors of texts but those.
      #expect(page.split(separator: ":root{").count == 3)
      let used = Set(texts(page, from: "color:", to: ")").filter { $0.hasPrefix("var") })
      #expect(used.isSubset(of: ["var(--text", "var(--muted"]))
    }
  }

  /// Returns a script that puts the page into a frame, since windows have a minimum width, opens all
  /// that is folded, and writes the faults: what is wider than its box or the frame, and texts that
  /// are small or faint.
  private func measure(width: Int) -> String {
    """
    <script>
    document.currentScript.remove();
    const frame = document.createElement("iframe");
    frame.style.width = "\(width)px";
    frame.style.border = 0;
    frame.srcdoc = "<!DOCTYPE html>" + document.documentElement.outerHTML;
    frame.onload = () => {
    const page = frame.contentDocument;
    page.querySelectorAll("details").forEach(e => e.open = true);
    const faults = [], width = page.documentElement.clientWidth;
    const parse = c => { const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n };
    const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
    const ground = e => e ? over(parse(getComputedStyle(e).backgroundColor), ground(e.parentElement))
      : [255, 255, 255, 1];
    const light = c => [.2126, .7152, .0722].reduce((sum, part, i) => { const v = c[i] / 255;
      return sum + part * (v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4) }, 0);
    const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
      return (x + .05) / (y + .05) };
    let texts = 0;
    for (const e of page.body.querySelectorAll("*")) {
      if (e.tagName == "SCRIPT" || e.tagName == "TITLE") continue;
      const fault = words => faults.push(`${e.tagName} ${e.className.baseVal ?? e.className}: ${words}: `
        + e.textContent.slice(0, 40));
      const style = getComputedStyle(e), box = e.getBoundingClientRect();
      if (e.clientWidth && e.scrollWidth > e.clientWidth)
        fault(`${e.scrollWidth} in ${e.clientWidth}`);
      if (/hidden|auto|scroll/.test(style.overflow) && e.tagName != "svg") fault(style.overflow);
      if (box.left < 0 || box.right > width + .5) fault(`from ${box.left} to ${box.right}`);
      const own = [...e.childNodes].filter(n => n.nodeType == 3 && n.data.trim());
      if (!own.length || !box.width || style.fontSize == "0px") continue;
      texts++;
      if (parseFloat(style.fontSize) < 11) fault(`letters of ${style.fontSize}`);
      const ratio = contrast(parse(style.color), ground(e));
      if (ratio < 4.5) fault(`contrast ${ratio}`);
      for (const node of own) {
        const range = page.createRange();
        range.selectNodeContents(node);
        for (const r of range.getClientRects())
          if (r.left < box.left - 1 || r.right > box.right + 1) fault("text out of its box");
      }
    }
    const pre = document.createElement("pre");
    pre.id = "measured";
    pre.textContent = JSON.stringify({width: frame.contentWindow.innerWidth, texts, faults,
      dark: frame.contentWindow.matchMedia("(prefers-color-scheme:dark)").matches});
    document.body.append(pre);
    };
    document.body.replaceChildren(frame);
    </script>
    """
  }

  @Test(
    "nothing is cut off, small or faint in Chromium",
    .enabled(if: chromium != nil, "there is no Chromium here"),
    arguments: [390, 900, 1280], [false, true])
  func layout(width: Int, isDark: Bool) throws {
    try Fixture.with { files in
      let all = (1...7).map { "a-task-with-a-long-name-\($0)" }
      try make(files, all.enumerated().map { ($1, 3 * $0 + 1, 1 / Double($0 + 1)) })
      try makeMetrics(files, "one.jsonl")
      try makeMetrics(files, "another-run-with-a-long-name.jsonl", lossOffset: 1e9)
      let metrics = ["one.jsonl", "another-run-with-a-long-name.jsonl"]
        .flatMap { ["--metrics", files($0)] }
      let paths = all.map { files("\($0).diff") }
      for arguments in [
        [files("add.diff"), "--metrics", files("one.jsonl")],
        Array(paths.prefix(2)) + ["--tensor", Self.tensors[2], "--base", files("b.safetensors")],
        paths + metrics, paths + paths.map { $0 },
      ] {
        let page = try report(files, arguments)
        let path = files("measured.html")
        try? remove(path)
        try write(
          Array(page.replacing("</body>", with: measure(width: width) + "</body>").utf8),
          toFile: path)
        let browser = try #require(chromium)
        let child = try ChildProcess.run(
          "timeout",
          [
            "60", browser, "--headless", "--no-sandbox", "--disable-gpu",
            "--blink-settings=preferredColorScheme=\(isDark ? 0 : 1)",
            "--window-size=1400,1400", "--dump-dom", "file://\(path)",
          ])
        let dom = String(decoding: child.output, as: UTF8.self)
        let text = try #require(texts(dom, from: "<pre id=\"measured\">", to: "<").first)
          .replacing("&lt;", with: "<").replacing("&gt;", with: ">").replacing("&amp;", with: "&")
        let measured = try JSONValue(parsing: Array(text.utf8))
        #expect(measured["faults"]?.elements?.compactMap(\.text) == [])
        #expect(measured["width"]?.double == Double(width))
        #expect(measured["dark"]?.compact == "\(isDark)")
        #expect(try #require(measured["texts"]?.double) > 50)
      }
    }
  }
}

/// The browser of the layout tests, if it is installed.
let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].first {
  (try? File($0)) != nil
}
