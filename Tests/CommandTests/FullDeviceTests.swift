import SystemSupport
import TensorCore
import Testing
import TestSupport

/// A real file system of a megabyte; if it cannot be mounted, the test is skipped with the reason.
@Suite struct FullDeviceTests {
  private static let canMount: Bool = {
    (try? Scratch.with {
      try ChildProcess.run("mount", mount($0)).ending == .exit(0) && unmount($0)
    })
      ?? false
  }()

  private static func mount(_ scratch: Scratch) -> [String] {
    ["-t", "tmpfs", "-o", "size=1m", "tmpfs", scratch.path]
  }

  private static func unmount(_ scratch: Scratch) -> Bool {
    (try? ChildProcess.run("umount", [scratch.path]).ending) == .exit(0)
  }

  @Test(
    "on a full device nothing appears and nothing is lost, whatever fills it",
    .enabled(if: canMount, "needs the right to mount a tmpfs"))
  func full() throws {
    try Scratch.with { outer in
      var random = SplitMix64(seed: 1)
      let model = try BigModel(outer, &random, elements: 400_000)
      try makeFolder(outer("small"))
      let small = Scratch(path: outer("small"))
      _ = try ChildProcess.run("mount", Self.mount(small))
      defer { _ = Self.unmount(small) }
      // More than fits, which is detected in advance.
      expectTrouble(
        try Diffkit.run("apply", model.base, model.diff, "-o", small("out.h5")),
        small("out.h5"), "needs", "has")
      expectTrouble(
        try Diffkit.run("convert", model.base, small("out.safetensors")), "needs", "has")
      #expect(try small.names == [])
      // Detected while writing: a diff, and a journal.
      let bytes = try contents(ofFile: outer("task.diff"))
      let capacity = 1 << 20
      try write([UInt8](repeating: 1, count: capacity - bytes.count), toFile: small("filling"))
      expectTrouble(
        try Diffkit.run("create", model.base, model.tuned, "-o", small("task.diff")),
        small("task.diff"), "No space left")
      #expect(try small.names == ["filling"])
      try remove(small("filling"))
      try makeFolder(outer("more"))
      let more = Scratch(path: outer("more"))
      let little = try BigModel(more, in: small, &random, elements: 180_000)
      let before = try contents(ofFile: little.base)
      try write(
        [UInt8](repeating: 1, count: capacity - before.count - 4_000), toFile: small("filling"))
      let names = try small.names
      expectTrouble(
        try Diffkit.run("apply", "--in-place", little.base, little.diff), "No space left")
      #expect(try contents(ofFile: little.base) == before)
      #expect(try small.names == names)
    }
  }
}
