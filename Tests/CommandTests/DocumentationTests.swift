import Algorithms
import DiffFormat
import Platform
import StrictJSON
import Testing
import TestSupport

/// What the documents say that can be run or followed.
@Suite struct DocumentationTests {
  @Test("the README's commands for a custom model print what it shows")
  func ownModel() throws {
    let lines = try Self.block("own-model")
    let commands = lines.chunked { !$1.hasPrefix("$ ") }
    #expect(commands.count == 5)
    let bin = String(Diffkit.path.dropLast("/diffkit".count))
    try Scratch.with { folder in
      #expect(unsafe symlink(Repository.path + "/samples", folder("samples")) == 0)
      for lines in commands {
        let command = lines.first?.dropFirst(2) ?? ""
        let answer = Answer(
          try .run(
            "sh",
            ["-c", "cd \"$1\" && PATH=\"$2:$PATH\" && \(command)", "sh", folder.path, bin]))
        #expect((answer.code, answer.errors) == (0, ""), "\(command)")
        #expect(answer.output == lines.dropFirst().map { $0 + "\n" }.joined(), "\(command)")
      }
    }
  }

  @Test(
    "the README's program in C lists the tensors of a diff",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"))
  func programInC() throws {
    try Fixture.with { files in
      let text = try Self.block("c").joined(separator: "\n") + "\n"
      try write(Array(text.utf8), toFile: files("list.c"))
      try CLibrary.compile(files("list.c"), to: files("list"))
      #expect(unsafe rename(files("exact.diff"), files("task.diff")) == 0)
      let answer = Answer(
        try .run("sh", ["-c", "cd \"$1\" && ./list", "sh", files.folder.path]))
      #expect((answer.code, answer.errors) == (0, ""))
      #expect(answer.output.contains("model/big: 1 changes\n"))
    }
  }

  @Test("the guide's settings of several tasks are accepted, and are all that a diff records")
  func settings() throws {
    let guide = try Self.text("spec/GUIDE.md")
    let start = try #require(guide.firstRange(of: "### Settings of a training"))
    let section = String(guide[start.upperBound...].prefix { $0 != "#" })
    let example = try #require(section.firstMatch(of: #/```json\n(.+?)```/#.dotMatchesNewlines()))
    try Scratch.with { scratch in
      let model = try TinyModel(scratch)
      let rows = (0..<12).map { "the \($0 % 2 == 0 ? "red river" : "old house")\t\($0 % 2)\n" }
      let named = ["message,kind\n"] + rows.map { $0.replacing("\t", with: ",") }
      for (name, rows) in [
        ("sms.csv", named), ("sms-dev.csv", named), ("mr.tsv", rows), ("subj.tsv", rows),
      ] { try write(Array(rows.joined().utf8), toFile: scratch(name)) }
      try write(Array(example.1.utf8), toFile: scratch("tasks.json"))
      let answer = Answer(
        try .run(
          "sh",
          [
            "-c", "cd \"$1\" && \"$2\" train \"$3\" --tasks tasks.json --epochs 1 --threads 2 -q",
            "sh", scratch.path, Diffkit.path, model.path,
          ]))
      #expect(answer.code == 0, "\(answer.errors)")
      #expect(try scratch.names.count { $0.hasSuffix(".diff") } == 8)
      let settings = try #require(try DiffReader(scratch("sms.diff")).metadata["train.settings"])
      let json = try JSONValue(parsing: Array(settings.utf8))
      let members = (json.members ?? []) + (json["options"]?.members ?? [])
      #expect(members.count > 25)
      for member in members { #expect(section.contains("`\(member.name)`"), "\(member.name)") }
    }
  }

  /// Documents with links, by their paths in the repository.
  private static let documents =
    ["README.md", "Sources/README.md", "Tests/README.md", "samples/RECIPES.md"]
    + ((try? Scratch(path: Repository.path + "/spec").names) ?? [])
    .filter { $0.hasSuffix(".md") }.map { "spec/" + $0 }

  @Test("links of the documents lead to files and headings", arguments: documents)
  func links(document: String) throws {
    let folder = document.split(separator: "/").dropLast().map { $0 + "/" }.joined()
    let text = try Self.text(document)
    for match in text.matches(of: #/\]\(([^)\s]+)\)/#) {
      let link = String(match.1)
      if link.contains("://") { continue }
      let parts = link.split(separator: "#", omittingEmptySubsequences: false).map(String.init)
      let target = parts[0].isEmpty ? document : folder + parts[0]
      #expect(unsafe access(Repository.path + "/" + target, F_OK) == 0, "\(link)")
      guard parts.count > 1, target.hasSuffix(".md") else { continue }
      let headings = try Self.text(target).split(separator: "\n")
        .filter { $0.hasPrefix("#") }.map { Self.anchor(of: $0) }
      #expect(headings.contains(parts[1]), "\(link)")
    }
  }

  /// The name of a heading in links, as GitHub makes it.
  private static func anchor(of heading: Substring) -> String {
    let text = heading.drop { $0 == "#" }.dropFirst().lowercased()
    return String(
      text.map { $0 == " " ? "-" : $0 }
        .filter { $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" })
  }

  private static func text(_ document: String) throws -> String {
    String(decoding: try contents(ofFile: Repository.path + "/" + document), as: UTF8.self)
  }

  /// The lines of the README's code block after the comment `<!-- ci: NAME -->`.
  private static func block(_ name: String) throws -> [Substring] {
    let lines = try text("README.md").split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0 == "<!-- ci: \(name) -->" })
    return Array(lines[(start + 2)...].prefix { !$0.hasPrefix("```") })
  }
}
