import Platform
import SystemSupport
import TensorCore
import Testing
import TestSupport

/// The libraries in host processes, which fork at any moment and have their own threads.
///
/// DIFFKIT_FORKS=1000 in the environment forks each process 1000 times.
@Suite struct ForkTests {
  private static let modes = ["idle", "cold", "busy", "ending", "thread"]
  private static let uses = ["memory", "safetensors", "hdf5"]
  private static let hasOpenMP = CLibrary.answers(
    "sh", ["-c", "echo 'int main(void) { return 0; }' | cc -fopenmp -x c - -o /dev/null"])

  /// Returns the number of forks: `few`, unless the environment specifies another number.
  private func count(_ few: Int) throws -> Int {
    guard let asked = unsafe getenv("DIFFKIT_FORKS") else { return few }
    return try #require(unsafe Int(String(cString: asked)))
  }

  /// Runs the program that forks while it applies diffs.
  private func runTrial(_ arguments: [String], preloading library: String = "") throws {
    let trial = CLibrary.folder + "/ForkTrial"
    let answer = Answer(try .run("env", ["LD_PRELOAD=\(library)", trial] + arguments))
    #expect((answer.code, answer.output, answer.errors) == (0, "", ""), "\(arguments)")
  }

  @Test("children apply diffs on all cores, whatever their parent did", arguments: uses)
  func children(use: String) throws {
    try Scratch.with { scratch in
      try runTrial(["make", scratch.path])
      for mode in Self.modes {
        let few = use == "memory" && ["idle", "busy"].contains(mode) ? 50 : 6
        try runTrial([use, mode, "\(count(few))", scratch.path])
      }
    }
  }

  @Test(
    "children apply diffs beside OpenMP",
    .enabled(if: hasOpenMP, "there is no C compiler with OpenMP here"))
  func openMP() throws {
    try Scratch.with { scratch in
      let source = Repository.path + "/Tests/CommandTests/openmp.c"
      let library = scratch("openmp.so")
      #expect(CLibrary.answers("cc", ["-fopenmp", "-shared", "-fPIC", source, "-o", library]))
      try runTrial(["make", scratch.path])
      try runTrial(["memory", "busy", "\(count(10))", scratch.path], preloading: library)
    }
  }

  @Test(
    "libDiffKit works in children, writes nothing and leaves signals alone",
    .enabled(if: CLibrary.isUsable, "there is no libDiffKit.so or no C compiler here"),
    arguments: modes)
  func library(mode: String) throws {
    try Fixture.with { files in
      let source = Repository.path + "/Tests/CommandTests/fork.c"
      try CLibrary.compile(source, to: files("fork"), "-pthread")
      for name in ["base", "tuned"] {
        try write(files.bytes(of: "model/big", "\(name).h5"), toFile: files("\(name).raw"))
      }
      // With a toolchain, the Swift runtime handles the signals of crashes, to report them.
      let answer = Answer(
        try .run(
          "env",
          [
            "SWIFT_BACKTRACE=enable=no", files("fork"), mode, "\(count(20))", files("exact.diff"),
            "model/big", files("base.raw"), files("tuned.raw"),
          ]))
      #expect((answer.code, answer.output, answer.errors) == (0, "", ""))
    }
  }
}
