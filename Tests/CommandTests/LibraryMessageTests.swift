import Foundation
import Testing
import TestSupport

/// The library does not know the command line: names of options are in
/// `Sources/DiffCommands/Remedies.swift`, not in messages that reach callers of Swift and C.
@Suite struct LibraryMessageTests {
  private static let sources = Repository.path + "/Sources"

  /// Returns the lines of a source that name an option, except comments.
  private func options(_ path: String) throws -> [String] {
    let text = String(decoding: try contents(ofFile: "\(Self.sources)/\(path)"), as: UTF8.self)
    return text.split(separator: "\n").map { $0.drop { $0 == " " } }.filter {
      !$0.hasPrefix("//") && $0.contains(/(^|[^-\w])(--[a-z]|-o\b)/)
    }.map(String.init)
  }

  @Test("no text of a library module names an option")
  func libraries() throws {
    let programs = ["DiffCommands/", "DiffBenchmarks/"]
    let paths = try FileManager.default.subpathsOfDirectory(atPath: Self.sources).filter { path in
      path.hasSuffix(".swift") && !programs.contains(where: path.hasPrefix)
    }
    #expect(paths.count > 100)
    for path in paths { #expect(try options(path) == [], "\(path)") }
  }

  @Test("the texts of remedies do")
  func remedies() throws {
    let lines = try options("DiffCommands/Remedies.swift")
    #expect(lines.contains { $0.contains("--force") } && lines.contains { $0.contains("-o\"") })
  }
}
