import SystemSupport
import Testing
import TestSupport

/// libDiffKit, and C programs that use it.
enum CLibrary {
  static let folder = OutputFile.split(Diffkit.path).folder
  static let path = folder + "/libDiffKit.so"

  /// True if the library is built and there is a C compiler.
  static let isUsable = (try? File(path)) != nil && answers("cc", ["--version"])

  /// Returns whether a program runs and succeeds.
  static func answers(_ program: String, _ arguments: [String]) -> Bool {
    (try? ChildProcess.run(program, arguments))?.ending == .exit(0)
  }

  /// Compiles a C program of Tests/CommandTests or another folder against the library.
  static func compile(_ source: String, to program: String, _ flags: String...) throws {
    let child = try ChildProcess.run(
      "cc",
      [
        "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I",
        Repository.path + "/Sources/CDiffKitHeader", "-I",
        Repository.path + "/Tests/CForkTrial/include",
      ] + flags + [
        source, "-o", program, "-L", folder, "-lDiffKit", "-lgcc_s", "-lm", "-Wl,-rpath,\(folder)",
      ])
    #expect(child.ending == .exit(0), "\(String(decoding: child.errors, as: UTF8.self))")
  }
}
