import Platform
import Testing
import TestSupport

/// The files in `Golden`: a line for the shell, and its expected output.
///
///     $ diffkit inspect add.diff
///     exit 0
///     --- output
///     …
///     --- errors
///     …
///
/// With DIFFKIT_RECORD=1 in the environment they are written again; check them with `git diff`.
/// The lines run in a folder that holds the fixture and `samples`, a link to those of the project.
@Suite struct GoldenTests {
  private static let folder = Scratch(path: Repository.path + "/Tests/CommandTests/Golden")
  private static let isRecording = unsafe getenv("DIFFKIT_RECORD") != nil
  static let names = (try? folder.names) ?? []

  @Test("commands print what was recorded", arguments: names)
  func golden(name: String) throws {
    let text = String(decoding: try contents(ofFile: Self.folder(name)), as: UTF8.self)
    let line = String(text.prefix { $0 != "\n" })
    #expect(line.hasPrefix("$ diffkit "))
    try Fixture.with { files in
      #expect(unsafe symlink(Repository.path + "/samples", files("samples")) == 0)
      let bin = String(Diffkit.path.dropLast("/diffkit".count))
      let answer = Answer(
        try .run(
          "sh",
          [
            "-c",
            "cd \"$1\" && PATH=\"$2:$PATH\" COLUMNS=100 && export COLUMNS && \(line.dropFirst(2))",
            "sh", files.folder.path, bin,
          ]))
      let now = """
        \(line)
        exit \(answer.code)
        --- output
        \(answer.output)--- errors
        \(answer.errors)
        """
      if Self.isRecording {
        try? remove(Self.folder(name))
        try write(Array(now.utf8), toFile: Self.folder(name))
      }
      #expect(now == text)
    }
  }

  @Test("there are cases") func present() { #expect(Self.names.count >= 20) }
}
