import Testing
import TestSupport

/// The helper that runs libhdf5, tested from the command line.
@Suite struct HelperCommandTests {
  /// Runs the executable with another path for the helper.
  private func run(_ arguments: String...) throws -> Answer {
    Answer(
      try .run("env", ["DIFFKIT_HDF5=/nowhere/helper", "timeout", "60", Diffkit.path] + arguments))
  }

  @Test("commands without HDF5 need no helper; others report which one is missing")
  func missing() throws {
    try Fixture.with { files in
      let types = Repository.path + "/Tests/CheckpointsTests/Resources/types.safetensors"
      expectSuccess(try run("--help"), "create")
      expectSuccess(try run("verify", files("exact.diff")))
      expectSuccess(try run("inspect", files("exact.diff")))
      expectSuccess(try run("inspect", types))
      expectSuccess(try run("convert", types, files("copy.safetensors")))
      expectTrouble(try run("inspect", files("base.h5")), "/nowhere/helper", "DIFFKIT_HDF5")
      expectTrouble(try run("convert", types, files("copy.h5")), "/nowhere/helper")
      #expect(!files.folder.exists("copy.h5"))
    }
  }
}
