import Algorithms
import Platform
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
