import Testing
import TestSupport

/// The symbols that libDiffKit brings into host processes.
@Suite(
  .enabled(
    if: CLibrary.isUsable && CLibrary.answers("nm", ["--version"]),
    "there is no libDiffKit.so or no nm here"))
struct LibrarySymbolTests {
  /// Returns the names that `nm` lists.
  private func names(_ option: String) throws -> [String] {
    let list = Answer(try .run("nm", ["-D", "--format=posix", option, CLibrary.path]))
    #expect(list.code == 0)
    // NAME@VERSION, a letter and numbers.
    return list.output.split(separator: "\n").map { line in
      String(line.prefix { $0 != " " && $0 != "@" })
    }
  }

  @Test("it defines the functions of diffkit.h, mangled names of Swift, and nothing else")
  func exports() throws {
    let names = try names("--defined-only")
    #expect(names.contains("diffkit_open_file"))
    // Symbols of the linker, and clang's resolvers for the clones of kernels.
    let ends = ["__bss_start", "_edata", "_end"]
    let others = names.filter { name in
      !name.hasPrefix("diffkit_") && !name.hasPrefix("$s") && !name.hasSuffix(".resolver")
        && !ends.contains(name)
    }
    #expect(others == [])
  }

  @Test("it calls nothing that handles signals, ends the process or prints")
  func imports() throws {
    let names = try Set(names("--undefined-only"))
    #expect(names.contains("pread"))
    #expect(
      names.intersection([
        "signal", "sigaction", "exit", "_exit", "quick_exit", "abort", "write", "puts", "putchar",
        "printf", "fprintf", "fputs", "fputc", "fwrite", "perror", "stdout", "stderr",
      ]) == [])
  }
}
